"""Places that must not be written over, may not be entered, or hold images of one name."""

import errno
import os
import shutil
import signal
from pathlib import Path

import pytest
from PIL import Image

from tiny import TINY, Answer, cli, refused


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def photos(scenes: Path, tmp_path: Path) -> Path:
    """A folder of b.jpg and, below it, deep/a.png."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    shutil.copy(scenes / "images/test/scene_00001.jpg", tmp_path / "photos" / "b.jpg")
    with Image.open(scenes / "images/test/scene_00000.jpg") as image:
        image.crop((0, 0, 40, 30)).save(tmp_path / "photos" / "deep" / "a.png")
    return tmp_path / "photos"


def test_predict_spares_the_images(
    trained: dict[str, Path], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(photos)
    run, says = trained["uniform"], "deep/a.png would be overwritten"
    refused(cli("predict", run, photos, "--out", photos), f"{photos}/{says}")
    monkeypatch.chdir(photos / "deep")
    refused(cli("predict", run, photos, "--out", ".."), f"../{says}", "--out")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.jpg").symlink_to(photos / "deep" / "a.png")
    answer = cli("predict", run, tmp_path / "links", "--out", photos / "deep")
    refused(answer, f"{photos}/{says}")
    with Image.open(photos / "b.jpg") as image:
        image.save(photos / "b.overlay.jpg")
    answer = cli("predict", run, photos / "b.jpg", photos / "b.overlay.jpg", "--out", photos)
    refused(answer, "b.overlay.jpg would be overwritten")
    (photos / "b.overlay.jpg").unlink()
    assert contents(photos) == before


def test_predict_writes_beside_images_and_over_its_own_answers(
    trained: dict[str, Path], photos: Path
) -> None:
    before = contents(photos)
    for _ in range(2):
        answer = cli("predict", trained["uniform"], photos / "b.jpg", "--out", photos)
        assert answer.code == 0, answer.err
    after = contents(photos)
    assert sorted(after.keys() - before.keys()) == ["b.overlay.jpg", "b.png"]
    assert {name: after[name] for name in before} == before


def test_images_that_differ_by_suffix_alone_keep_it(
    trained: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    shutil.copy(photos / "deep" / "a.png", photos / "b.png")
    out = tmp_path / "out"
    answer = cli("predict", trained["uniform"], photos, "--out", out)
    assert answer.code == 0, answer.err
    assert sorted(contents(out)) == sorted(
        f"{name}{end}" for name in ("b.jpg", "b.png", "deep/a") for end in (".png", ".overlay.jpg")
    )
    with Image.open(out / "b.png.png") as small, Image.open(out / "b.jpg.png") as large:
        assert (small.size, large.size) == ((40, 30), (256, 128))
    shutil.copy(photos / "b.png", photos / "b.jpg.png")
    answer = cli("predict", trained["uniform"], photos, "--out", tmp_path / "other")
    refused(answer, f"{photos}/b.jpg and {photos}/b.jpg.png would be written under one name, b.jpg")
    assert not (tmp_path / "other").exists()


def denying(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a folder be one that may be listed and not entered, for root too."""
    real = os.stat

    def deny(path: object, *rest: object, **more: object) -> os.stat_result:
        if isinstance(path, str | os.PathLike) and folder in Path(path).parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", deny)


def test_folders_that_may_not_be_entered(
    trained: dict[str, Path], scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    denying(locked, monkeypatch)

    def denied(answer: Answer, *says: str) -> None:
        refused(answer, *says, "(Permission denied).")
        assert answer.err.count("\n") == 1

    photo = scenes / "images/test/scene_00000.jpg"
    denied(cli("segment", locked / "data", "--run", tmp_path / "run", *TINY), f"{locked}/data")
    denied(cli("predict", locked / "run", photo), f"{locked}/run")
    denied(cli("evaluate", locked / "run"), f"{locked}/run")
    denied(cli("compare", locked / "run"), f"{locked}/run")
    denied(cli("segment", scenes, "--run", locked / "run", *TINY), f"{locked}/run")
    denied(cli("predict", trained["uniform"], locked / "a.jpg"), f"{locked}/a.jpg")
    answer = cli("check", locked / "data")
    refused(answer, "1 problem")
    assert f"{locked}/data cannot be read (Permission denied)." in answer.out


def test_a_folder_of_images_that_may_not_be_entered(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shutil.copytree(scenes, tmp_path / "data")
    denying(data / "images", monkeypatch)
    refused(cli("check", data), f"{data}/images/train cannot be used (Permission denied).")


def test_what_else_the_system_refuses(trained: dict[str, Path]) -> None:
    name = "long" * 1000
    refused(cli("predict", trained["uniform"], name), f"{name} cannot be used (File name too long)")
    refused(cli("check", name), "1 problem")


PLACES = {
    "segment": "frugalseg.tasks.base.train",
    "check": "frugalseg.data.check.check_folder",
}


@pytest.mark.parametrize(
    ("words", "goes_on"),
    [
        (("segment", "data"), True),
        (("predict", "segment", "cluster"), False),
        (("evaluate", "run"), False),
        (("compare", "segment"), False),
        (("check", "data"), False),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_only_what_goes_on_is_said_to(
    words: tuple[str, ...],
    goes_on: bool,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as stop:
            if number == signal.SIGTERM:  # libraries do this
                raise ImportError("half imported") from stop
            raise

    before = signal.getsignal(number)
    target = PLACES.get(words[0], f"frugalseg.tasks.base.{words[0]}")
    monkeypatch.setattr(target, interrupt)
    hint = "; the same command goes on from here" if goes_on else ""
    assert cli(*words) == Answer(128 + number, "", f"frugalseg: interrupted{hint}.\n")
    assert signal.getsignal(number) is before
