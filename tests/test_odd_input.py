"""Files that are no files, short texts without end, and names that are hard to write."""

import logging
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from frugalseg.files import read_table
from odd_files import CLASSES, write_folder
from textures import WORDS as DISCOVER
from tiny import CLUSTERS, Answer, cli, refused


@pytest.fixture
def in_time() -> Iterator[None]:
    """Whatever waits for ever fails."""

    def fail(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scenes. Not to be changed."""
    folder = write_folder(tmp_path_factory.mktemp("data") / "balls", 6, (48, 64))
    (folder / "classes.csv").write_text(CLASSES)
    return folder


@pytest.fixture
def here(
    balls: Path,
    digits: Path,
    grouped: Path,
    trained: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The working folder, with links to folders and runs and a copy of the run of a clustering."""
    for name, path in {"balls": balls, "digits": digits, "trained": trained["uniform"]}.items():
        (tmp_path / name).symlink_to(path)
    shutil.copytree(grouped, tmp_path / "grouped")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """One test process cannot report names that are not UTF-8 to another."""
    monkeypatch.setattr(logging.getLogger("frugalseg"), "disabled", True)


TAKES_A_FILE = (
    "--config FILE segment balls",
    "segment balls --classes FILE",
    "segment balls --mapping FILE",
    "check balls --classes FILE",
    "check balls --mapping FILE",
    "cluster digits --labels FILE",
    "evaluate grouped --labels FILE",
    "finetune grouped --labels FILE",
    "sampling balls/images/s00.png --mask balls/masks/s00.png --classes FILE",
)


@pytest.mark.usefixtures("in_time", "here")
@pytest.mark.parametrize("words", TAKES_A_FILE)
def test_a_pipe_is_not_opened(words: str) -> None:
    os.mkfifo("pipe")
    answer = cli(*words.replace("FILE", "pipe").split())
    assert "pipe is a pipe, not a file: give an ordinary file." in answer.out + answer.err
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert not Path("runs").exists()


@pytest.mark.usefixtures("in_time", "here")
@pytest.mark.parametrize("name", ["state.json", "config.yaml", "results/digits-all.json"])
def test_a_pipe_in_a_run_is_not_opened(name: str) -> None:
    (Path("grouped") / name).unlink()
    os.mkfifo(Path("grouped") / name)
    refused(cli("compare", "grouped", "grouped"), "config.yaml" if "config" in name else "a pipe")


@pytest.mark.usefixtures("in_time", "here")
def test_other_things_that_are_no_files() -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for name, kind in (("socket", "a socket"), ("/dev/zero", "a device"), (".", "a folder")):
            refused(cli("cluster", "digits", "--labels", name), f"{name} is {kind}, not a file")
    with Path("huge").open("wb") as file:
        file.truncate(1 << 40)  # takes no room
    refused(cli("--config", "huge", "segment", "balls"), "it has more than 262,144 bytes")


DEEP = 50_000
ALIASES = "a: &a [1, 1]\n" + "".join(f"{x}: &{x} [*{y}, *{y}]\n" for x, y in zip("bcd", "abc"))  # noqa: B905
YAML = {
    "deep lists": ("seed: " + "[" * DEEP, "nested too deeply"),
    "deep mappings": ("{a: " * DEEP, "nested too deeply"),
    "deep lines": ("\n".join(" " * i + "a:" for i in range(500)), "nested too deeply"),
    "aliases": (ALIASES, "it has an alias (*) or a tag (!): write the plain"),
    "itself": ("segment: &a\n  seed: *a\n", "it has an alias"),
    "a huge number": ("segment:\n  seed: " + "9" * 10_000, "cannot be read"),
    "a tag that does not fit": ("segment: !!bool x", "it has an alias (*) or a tag (!)"),
    "a key twice": ("segment:\n  seed: 1\n  seed: 2\n", "'seed' is given twice: keep one"),
    "a tag": (
        "segment: !!python/object/apply:os.system [true]",
        "it has an alias (*) or a tag (!)",
    ),
    "no text": ("\0\1", "cannot be read"),
}


@pytest.mark.usefixtures("in_time", "here")
@pytest.mark.parametrize("kind", YAML)
def test_yaml_without_end(kind: str) -> None:
    text, says = YAML[kind]
    Path("options.yaml").write_text(text)
    refused(cli("--config", "options.yaml", "segment", "balls"), "options.yaml", says)
    shutil.copy("options.yaml", "grouped/config.yaml")
    refused(cli("predict", "grouped", "digits"), "grouped/config.yaml", says)


@pytest.mark.usefixtures("in_time", "here")
def test_options_and_states_without_end() -> None:
    for value in ("[" * DEEP, "9" * 10_000, "*a"):
        words = ("--segmenter-options.widths", value, "--size", "16x32")
        refused(cli("segment", "balls", "--run", "run", *words), "segmenter")
    Path("grouped/state.json").write_text("[" * DEEP)
    refused(cli("predict", "grouped", "digits"), "state.json", "it is nested too deeply")


NAMES = [
    *("=1+1", "+x", "-7", "@a", "'=q", " lead", "a b", "a#b%20?c", "<b>&amp;", "a,b;c", "*", "[1]"),
    *("q\"uo'te", "new\nline", "cr\rx", "tab\tx", "\x1b[31m", "\u202eabc", "ünï😀", "x" * 200),
    *(os.fsdecode(b"b\xe4r"), r"\udce4", "$(x)"),
]


@pytest.fixture
def odd(here: Path, digits: Path) -> Path:
    """Digits under odd names, in folders by kind."""
    names = iter(NAMES)
    for path in sorted(digits.glob("*/*.png")):
        target = here / "odd" / path.parent.name / f"{next(names, path.stem)}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return here / "odd"


def done(*words: str | Path) -> Answer:
    answer = cli(*words)
    assert answer.code == 0, answer.err
    return answer


def files(table: Path) -> set[str]:
    return {row["file"] for _, row in read_table(table, ("file",))}


@pytest.mark.usefixtures("no_log")
def test_odd_names_of_images_come_back_from_every_table(odd: Path) -> None:
    names = {path.relative_to(odd).as_posix() for path in odd.glob("*/*.png")}
    done("cluster", odd, "--run", "odd-run", *CLUSTERS)
    assert files(Path("odd-run/assignments.csv")) == names
    assert "b\\udce4r" in Path("odd-run/report.html").read_text("utf-8")
    done("suggest", "odd-run", "--number", str(len(names)))
    table = Path("odd-run/to_label.csv")
    assert files(table) == names
    lines = table.read_text("utf-8").splitlines()
    kinds = (line.replace(",,", f",kind {i % 2},") for i, line in enumerate(lines[1:]))
    table.write_text("\n".join([lines[0], *kinds]), "utf-8")
    words = ("--labels", table, "--steps", "2", "--batch-size", "8", "--hidden", "4")
    done("finetune", "odd-run", "--run", os.fsdecode(b"run-\xe4"), "--untrained", *words)
    done("evaluate", os.fsdecode(b"run-\xe4"), "--labels", table)
    assert files(Path(os.fsdecode(b"run-\xe4"), "predictions.csv")) == names


@pytest.mark.usefixtures("no_log")
def test_odd_names_of_scenes(here: Path) -> None:
    data = write_folder(Path(os.fsdecode(b"\xe4")), len(NAMES), (48, 64))
    for folder in ("images", "masks"):
        for path, name in zip(sorted((data / folder).iterdir()), NAMES, strict=True):
            path.rename(path.with_name(f"{name}.png"))
    done("predict", "trained", data / "images", "--out", "out")
    assert {path.name for path in Path("out").glob("*.png")} == {f"{name}.png" for name in NAMES}
    done("discover", data / "images", "--run", "regions", *DISCOVER)
    assert files(Path("regions/regions.csv")) == {f"{name}.png" for name in NAMES}
    assert {path.stem for path in Path("regions/labels").iterdir()} == set(NAMES)
    assert "\\udce4" in Path("regions/report.html").read_text("utf-8")
    run = Path(os.fsdecode(b"$\\x$ \xe4"))
    run.symlink_to(here / "trained")
    done("sampling", data / "images" / "-7.png", "--run", run, "--out", run.with_suffix(".svg"))
