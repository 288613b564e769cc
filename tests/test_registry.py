import subprocess
import sys

import pytest

from frugalseg.data.formats import FORMATS
from frugalseg.errors import FrugalsegError
from frugalseg.models import BACKBONES, SAMPLERS, SEGMENTERS
from frugalseg.registry import Registry
from frugalseg.tasks import CONFIGS, TASKS
from frugalseg.tasks.segment.config import LOSSES

REGISTRIES = (BACKBONES, CONFIGS, FORMATS, LOSSES, SAMPLERS, SEGMENTERS, TASKS)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_every_entry_can_be_had(registry: Registry) -> None:
    assert len(registry) == len(list(registry)) > 0
    for name in registry:
        assert registry.find(name) is registry[name]


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_what_is_not_there_is_refused_with_the_nearest(registry: Registry) -> None:
    name = next(iter(registry))
    with pytest.raises(FrugalsegError, match=f"no {registry.kind} .*did you mean '{name}'.*{name}"):
        registry.find(f"{name}x")
    assert f"{name}x" not in registry


def test_an_entry_of_ones_own_is_found_and_replaces_none() -> None:
    registry = Registry("shape", {"round": 1})
    registry.add("square", 2)
    assert registry.find("square") == 2
    with pytest.raises(FrugalsegError, match="There is a shape 'round' already"):
        registry.add("round", 3)


def test_listing_names_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom frugalseg.models import SAMPLERS\nfrom frugalseg.tasks import TASKS\n"
        "import frugalseg.cli\nprint(*SAMPLERS, *TASKS)\n"
        "assert not {'torch', 'lightning', 'scipy', 'sklearn'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "density" in done.stdout
