"""Each case imports in a fresh interpreter: an import happens once a process."""

import subprocess
import sys
from pathlib import Path

FAKE = """
import torch
from torchvision import inner  # half imported when the line below fails
torch.library.register_fake("torchvision::{name}")(lambda boxes, scores, threshold: scores)
"""


def run(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    start = "import sys\n" + (f"sys.path.insert(0, {str(path)!r})\n" if path else "")
    start += "from frugalseg._torchvision import patch_torchvision\n"
    return subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False
    )


def fake_torchvision(path: Path, text: str) -> None:
    package = path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(text)
    (package / "inner.py").write_text("")


def test_what_imports_torchvision_can_be_imported_after_mending():
    done = run(
        "patch_torchvision(); patch_torchvision()\n"
        "import torchvision.transforms, timm, segmentation_models_pytorch\n"
        "print(torchvision.transforms.functional.to_tensor.__name__)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "to_tensor"


def test_missing_operators_are_declared(tmp_path):
    fake_torchvision(tmp_path, FAKE.format(name="first") + FAKE.format(name="second"))
    plain = run("import torchvision", tmp_path)
    assert "operator torchvision::first does not exist" in plain.stderr
    done = run(
        "patch_torchvision(); import torchvision; print(torchvision.torch.ops.torchvision."
        "second.default)",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "torchvision.second.default"


def test_a_sound_install_is_left_alone(tmp_path):
    fake_torchvision(
        tmp_path,
        "import torch\ntorch.library.define('torchvision::nms', '(Tensor a) -> Tensor')",
    )
    done = run("patch_torchvision(); print('torchvision' in sys.modules)", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


def test_another_failure_is_not_hidden(tmp_path):
    fake_torchvision(tmp_path, "raise RuntimeError('no such driver')")
    done = run("patch_torchvision()", tmp_path)
    assert done.returncode == 1
    assert "no such driver" in done.stderr


def test_without_torchvision_nothing_happens():
    done = run(
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torchvision':\n"
        "            raise ModuleNotFoundError('absent', name='torchvision')\n"
        "sys.meta_path.insert(0, Absent())\n"
        "patch_torchvision(); print('torchvision' in sys.modules)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
