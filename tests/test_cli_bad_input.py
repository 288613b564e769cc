"""What users get wrong: one clear sentence, exit code 2, nothing half-written."""

import errno
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tiny import TINY, Spoil, cli, refused, remove, replace, write


@pytest.fixture
def data(scenes: Path, tmp_path: Path) -> Path:
    """Scenes that a test may spoil."""
    return shutil.copytree(scenes, tmp_path / "data")


def edit_mask(path: Path, value: int, pixels: int) -> None:
    mask = np.array(Image.open(path))
    mask.ravel()[:pixels] = value
    Image.fromarray(mask).save(path)


def binary_masks(data: Path) -> None:
    (data / "classes.csv").unlink()
    for path in data.glob("masks/*/*.png"):
        Image.fromarray(np.uint8(255 * (np.array(Image.open(path)) > 3))).save(path)


def most_masks_binary(data: Path) -> None:
    (data / "classes.csv").write_text("name,id,colour,target\nno,0,#000000,no\nyes,1,#ff0000,yes\n")
    shutil.rmtree(data / "images/test")
    shutil.rmtree(data / "masks/test")
    for i, path in enumerate(sorted(data.glob("masks/*/*.png"))):
        object_ = 255 if i < 7 else 1
        Image.fromarray(np.uint8(object_ * (np.array(Image.open(path)) > 3))).save(path)


def no_labels(data: Path) -> None:
    for path in data.glob("masks/train/*.png"):
        Image.new("L", (256, 128), 255).save(path)


FIRST = "scene_00000"
HEAD = "name,id,colour,target\n"
SPOILED: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "no folder": (lambda d: shutil.rmtree(d), ("there is no such folder",)),
    "no masks": (lambda d: shutil.rmtree(d / "masks"), ("it holds no images with masks",)),
    "image without mask": (
        lambda d: (d / f"masks/train/{FIRST}.png").unlink(),
        (f"images/train/{FIRST}.jpg", "there is no mask"),
    ),
    "mask without image": (
        lambda d: (d / f"images/val/{FIRST}.jpg").unlink(),
        (f"masks/val/{FIRST}.png", "there is no image"),
    ),
    "sizes that differ": (
        lambda d: Image.new("RGB", (200, 100)).save(d / f"images/train/{FIRST}.jpg"),
        (f"images/train/{FIRST}.jpg", "128x256", "100x200"),
    ),
    "truncated image": (
        lambda d: truncate(d / f"images/train/{FIRST}.jpg"),
        (f"images/train/{FIRST}.jpg cannot be read",),
    ),
    "truncated val image": (
        lambda d: truncate(d / f"images/val/{FIRST}.jpg"),
        (f"images/val/{FIRST}.jpg cannot be read",),
    ),
    "no image": (
        lambda d: (d / f"images/train/{FIRST}.jpg").write_text("hello"),
        (f"images/train/{FIRST}.jpg is not an image",),
    ),
    "id outside the list": (
        lambda d: edit_mask(d / "masks/train/scene_00003.png", 77, 13),
        ("masks/train/scene_00003.png", "77", "13"),
    ),
    "id outside the list in val": (
        lambda d: edit_mask(d / "masks/val/scene_00001.png", 78, 7),
        ("masks/val/scene_00001.png", "78", "7"),
    ),
    "0 and 255": (binary_masks, ("0 and 255",)),
    "0 and 255 in most masks": (most_masks_binary, ("7 of the 9 masks", "0 and 255 alone")),
    "no labelled pixel": (no_labels, ("no pixel of the training masks has a class",)),
    "empty": (
        lambda d: [path.unlink() for path in d.glob("*/*/*")],
        ("are empty",),
    ),
    "double class": (
        lambda d: (d / "classes.csv").write_text(HEAD + "car,1,#ff0000,yes\nroad,1,#00ff00,no\n"),
        ("classes.csv, line 3", "id 1"),
    ),
}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize("kind", SPOILED)
def test_spoiled_data(kind: str, data: Path, tmp_path: Path) -> None:
    spoil, says = SPOILED[kind]
    spoil(data)
    run = tmp_path / "runs" / "one"
    refused(cli("segment", data, "--run", run, *TINY), *says)
    assert not run.parent.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--segmenter", "unett"], "unet"),
        (["--sampler", "densty"], "did you mean 'density'?"),
        (["--loss", "dice"], "loss='dice' is out of range: choose among balanced"),
        (["--segmenter", "unet", "--encoder", "resnet5000"], "resnet5000"),
        (["--sampler-options.shar", "1"], "'density' has no option 'shar' (did you mean 'share'?)"),
        (["--sampler-options.share", "much"], "sampler density"),
        (["--segmenter-options.width", "[4]"], "width"),
        (["--segmenter-options.widths", "4"], "networks"),
        (["--targets", "cars"], "cars"),
        (["--ignore", "cloud"], "cloud"),
        (["--classes", "nowhere.csv"], "nowhere.csv"),
        (["--mapping", "nowhere.csv"], "nowhere.csv"),
        (["--size", "200x32"], "points are more than the pixels of"),
        (["--size", "0x32"], "'0x32' is no size"),
        (["--size", "big"], "'big' is no size"),
        (["--stepz", "2"], "Did you mean --steps"),
        (["--steps", "few"], "few"),
        (["--steps", "0"], "steps=0 is out of range"),
        (["--loss-at", "x"], "loss_at='x' is out of range"),
        (["--batch-size", "1"], "batch_size=1 is out of range: it must be at least 2"),
        (["--blend", "1.5"], "blend=1.5"),
        (["--flips", "diagonal"], "flips='diagonal'"),
        (["--folds", "7"], "folds=7"),
        (["--thumbnail", "4x4"], "thumbnail=(4, 4)"),
        (["--sampler", "uniform", "--joint"], "leave out --joint"),
        (["--joint", "--folds", "2"], "give only one of them"),
        (["--precision", "half"], "precision='half'"),
        (["--precision", "bf16-true"], "choose among 32-true, bf16-mixed, 16-mixed"),
        (["--devices", "many"], "devices=many"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_options_that_are_refused(
    words: list[str], says: str, scenes: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "one"
    answer = cli("segment", scenes, "--run", run, *_without(TINY, words), *words)
    refused(answer, says)
    assert not run.parent.exists()


def _without(words: tuple[str, ...], others: list[str]) -> list[str]:
    """Options and their values, but those that others set."""
    pairs = zip(words[::2], words[1::2], strict=True)
    kept = [
        pair for pair in pairs if pair[0].split(".")[0] not in {o.split(".")[0] for o in others}
    ]
    if any(o.startswith("--segmenter") and "options" not in o for o in others):
        kept = [pair for pair in kept if not pair[0].startswith("--segmenter")]
    return [word for pair in kept for word in pair]


def test_runs_that_cannot_be_made(scenes: Path, trained: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = cli("segment", scenes, "--run", tmp_path / "file" / "run", *TINY)
    refused(answer, "file is a file", "--run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    answer = cli("segment", scenes, "--run", tmp_path / "full", *TINY)
    refused(answer, "is not empty and is no run")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["letter.txt"]
    answer = cli("segment", scenes, "--run", trained["density"], *TINY, "--seed", "9")
    refused(answer, "other settings (seed: 0 there, 9 asked)")


def test_a_disk_that_is_full_in_the_middle(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lightning.pytorch import Trainer

    def fill(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "save_checkpoint", fill)
        answer = cli("segment", scenes, "--run", tmp_path / "run", *TINY)
        refused(answer, "No space left on device", "same command again")
    assert cli("segment", scenes, "--run", tmp_path / "run", *TINY).code == 0
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", fill)
        answer = cli("segment", scenes, "--run", tmp_path / "other", *TINY)
        refused(answer, "No space left on device")
    assert not (tmp_path / "other").exists()


def weights_of_another(run: Path) -> None:
    state = (run / "state.json").read_text()
    (run / "state.json").write_text(re.sub(r"(\[\s*4,\s*)8", r"\g<1>12", state))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "there is no such run"),
        (remove("config.yaml"), "no config.yaml"),
        (remove("classes.csv"), "classes.csv is missing"),
        (remove("state.json"), "is not finished"),
        (remove("weights.safetensors"), "is not finished"),
        (write("state.json", "{"), "state.json"),
        (write("state.json", "[]"), "state.json"),
        (write("config.yaml", "a: ["), "config.yaml cannot be read"),
        (replace("config.yaml", "format: 3", "format: 99"), "another version"),
        (replace("config.yaml", "steps:", "stepz:"), "stepz"),
        (write("weights.safetensors", "no tensors"), "is not as the training wrote it"),
        (lambda run: truncate(run / "weights.safetensors"), "is not as the training wrote it"),
        (weights_of_another, "state.json has been changed"),
    ],
)
def test_spoiled_runs(
    spoil: Spoil, says: str, trained: dict[str, Path], scenes: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(trained["density"], tmp_path / "run")
    spoil(run)
    refused(cli("predict", run, scenes / "images/test", "--out", tmp_path / "out"), says)
    assert not (tmp_path / "out").exists()


def test_predict_goes_on_past_a_broken_image(
    trained: dict[str, Path], scenes: Path, tmp_path: Path
) -> None:
    photos = shutil.copytree(scenes / "images/test", tmp_path / "photos")
    truncate(photos / "scene_00000.jpg")
    answer = cli("predict", trained["density"], photos, "--out", tmp_path / "out")
    refused(answer, "1 of 2 images could not be read")
    assert f"{photos / 'scene_00000.jpg'} cannot be read" in answer.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "scene_00001.overlay.jpg",
        "scene_00001.png",
    ]


def test_predict_refuses(
    trained: dict[str, Path], scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, photo = trained["uniform"], scenes / "images/test/scene_00000.jpg"
    refused(cli("predict", run, tmp_path / "none.jpg"), "there is no such file")
    (tmp_path / "empty").mkdir()
    refused(cli("predict", run, tmp_path / "empty"), "there is no image")
    (tmp_path / "twice").mkdir()
    shutil.copy(photo, tmp_path / "twice")
    refused(cli("predict", run, photo, tmp_path / "twice"), "scene_00000.jpg", "each image once")
    (tmp_path / "file").touch()
    refused(cli("predict", run, photo, "--out", tmp_path / "file"), "cannot be written")

    def fill(image: Image.Image, place: Path, **options: object) -> None:
        Path(place).write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fill)
    refused(cli("predict", run, photo, "--out", tmp_path / "out"), "No space left on device")
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert left == ["scene_00000.png"]  # whole: it is not written by Pillow


def test_evaluate_and_compare_refuse(
    trained: dict[str, Path], scenes: Path, data: Path, tmp_path: Path
) -> None:
    run = trained["uniform"]
    refused(cli("evaluate", run, "--split", "holiday"), "'holiday'", "train, val, test")
    lines = (f"c{i},{i},#0000{i:02x},no\n" for i in range(9))
    (data / "classes.csv").write_text(HEAD + "".join(lines))
    refused(cli("evaluate", run, "--data", data), "has other classes than the run")
    refused(cli("compare", run, "--out", tmp_path / "page.pdf"), ".html")
    (tmp_path / "file").touch()
    refused(cli("compare", run, "--out", tmp_path / "file" / "page.html"), "cannot be written")
    other = shutil.copytree(run, tmp_path / "other")
    replace("classes.csv", "tree", "bush")(other)
    refused(cli("compare", run, other), "other classes")
    another = shutil.copytree(run, tmp_path / "another")
    replace("config.yaml", f"data: {scenes}", f"data: {data}")(another)
    refused(cli("compare", run, another), "compare runs on one data set")


def test_sampling_refuses(trained: dict[str, Path], scenes: Path, tmp_path: Path) -> None:
    image, mask = scenes / "images/test/scene_00000.jpg", scenes / "masks/test/scene_00000.png"
    refused(cli("sampling", image), "either --mask", "or --run")
    refused(cli("sampling", image, "--mask", mask, "--size", "500x500"), "more than the pixels")
    refused(cli("sampling", image, "--mask", mask, "--targets", "cars"), "cars")
    refused(cli("sampling", image, "--mask", mask, "--out", tmp_path / "s.doc"), "s.doc")
    refused(cli("sampling", tmp_path / "none.jpg", "--mask", mask), "none.jpg")
    Image.new("L", (100, 100)).save(tmp_path / "m.png")
    refused(cli("sampling", image, "--mask", tmp_path / "m.png"), "they must be of one size")


@pytest.mark.parametrize("id_", [-1, 70000])
def test_ids_that_only_32_bits_hold(data: Path, id_: int) -> None:
    (mask,) = (data / "masks/train").glob("scene_00003.*")
    ids = np.array(Image.open(mask)).astype(np.int32)
    ids[5, 10:15] = id_
    mask.unlink()
    Image.fromarray(ids).save(mask.with_suffix(".tif"))
    says = f"scene_00003.tif: id {id_} (5 pixels) is not from 0 to 65535. Save"
    for _ in ("listed", "inferred"):
        answer = cli("check", data)
        refused(answer, "1 problem (")
        assert says in answer.out
        image = data / "images/train/scene_00003.jpg"
        refused(cli("sampling", image, "--mask", mask.with_suffix(".tif")), says)
        (data / "classes.csv").unlink(missing_ok=True)


def test_check_lists_every_problem(data: Path) -> None:
    edit_mask(data / "masks/train/scene_00003.png", 77, 13)
    truncate(data / "images/train/scene_00001.jpg")
    answer = cli("check", data)
    refused(answer, "2 problems")
    assert "scene_00003.png" in answer.out
    assert "scene_00001.jpg" in answer.out


def test_the_demonstration_refuses_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "uniform").mkdir()
    (tmp_path / "uniform" / "letter.txt").touch()
    refused(cli("demo", "--out", tmp_path), "cannot hold this demonstration", "--out")
    assert [path.name for path in tmp_path.iterdir()] == ["uniform"]
