"""A browser to open pages in, where one is installed; a finished run of each task."""

import shutil

import pytest

import frugalseg
from tasks.kits import KITS, Trained

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="session")
def _driver(tmp_path_factory):
    """Started once: that takes longer than all the pages."""
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-sync"
    for flag in (*flags.split(), "disable-background-networking", "disable-component-update"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(_driver):
    """A browser of the usual size that shows nothing and has logged nothing."""
    _driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    _driver.get("about:blank")  # leaves the browser's own first page, whose requests are logged too
    for log in ("browser", "performance"):
        _driver.get_log(log)
    return _driver


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """A finished run of each task."""
    trained = {}
    for name, kit in KITS.items():
        folder = tmp_path_factory.mktemp(name)
        source = kit.make(folder)
        frugalseg.train(kit.task or name, source, folder / "run", **kit.settings)
        trained[name] = Trained(kit, source, folder / "run")
    return trained
