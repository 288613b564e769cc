"""Over all tasks: runs and data that were changed by hand are refused in a sentence."""

import copy
import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

import frugalseg
from frugalseg.engine import trainer
from frugalseg.engine.config import TrainingConfig
from frugalseg.engine.module import StepModule
from frugalseg.engine.run_dir import RunDir, load_weights, save_weights
from frugalseg.errors import FrugalsegError
from frugalseg.tasks import CONFIGS, TASKS
from tasks.kits import KITS, Trained, contents
from tiny import cli, refused

every_task = pytest.mark.parametrize("name", list(TASKS))
OTHERS: list[Any] = [None, "x", -1, 2.5, True, math.nan, 10**6, [[1]], {"a": 1}]


def spoilt(content: Any, below: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in plain data."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        yield (*below, key)
        if isinstance(value, dict | list):
            yield from spoilt(value, (*below, key))


def changed(content: Any) -> Iterator[tuple[str, Any]]:
    """Copies of plain data with one value changed, missing or too many."""
    for way in spoilt(content):
        for other in OTHERS if len(way) == 1 else OTHERS[:3]:
            new = copy.deepcopy(content)
            part = new
            for key in way[:-1]:
                part = part[key]
            if json.dumps(part[way[-1]]) != json.dumps(other):
                part[way[-1]] = other
                yield f"{way}={other}", new
        new = copy.deepcopy(content)
        part = new
        for key in way[:-1]:
            part = part[key]
        del part[way[-1]]
        yield f"{way} missing", new
    yield "one more", content | {"unknown": 1}


@every_task
def test_every_value_of_the_settings(name: str, runs: dict[str, Trained], tmp_path: Path) -> None:
    kind = CONFIGS[name]
    for file in ("config.yaml", "state.json"):
        shutil.copy(runs[name].run / file, tmp_path)
    (tmp_path / "weights.safetensors").touch()
    RunDir(tmp_path).finished(kind)
    content = yaml.safe_load((tmp_path / "config.yaml").read_text())
    default = kind().plain()
    for what, values in changed(content):
        name_of = re.findall(r"'(\w+)'", what)[0] if what != "one more" else ""
        if name_of not in values and content.get(name_of) == default.get(name_of):
            continue  # a setting that is left out has its default
        (tmp_path / "config.yaml").write_text(json.dumps(values))  # JSON is YAML
        try:
            RunDir(tmp_path).finished(kind)
        except FrugalsegError as error:
            assert str(tmp_path) in str(error), what  # noqa: PT017
            assert "\n" not in str(error), what  # noqa: PT017
        else:  # places may change, since a run may be moved
            assert name_of in kind.places(), what


@every_task
def test_every_value_of_the_state(name: str, runs: dict[str, Trained], tmp_path: Path) -> None:
    content = json.loads((runs[name].run / "state.json").read_text())
    for what, state in changed(content):
        (tmp_path / "state.json").write_text(json.dumps(state))
        with pytest.raises(FrugalsegError, match=r"state\.json has been changed"):
            pytest.fail(f"{what}: {RunDir(tmp_path).state()}")


@every_task
def test_commands_refuse_changed_runs(name: str, runs: dict[str, Trained], tmp_path: Path) -> None:
    run = shutil.copytree(runs[name].run, tmp_path / "run")
    whole = {file: (run / file).read_bytes() for file in ("config.yaml", "state.json")}
    commands: list[tuple[Any, ...]] = [
        ("predict", run, runs[name].images, "--out", tmp_path / "out"),
        ("evaluate", run),
    ]
    commands += [("compare", run, "--out", tmp_path / "page.html")] if TASKS[name].compare else []
    for file, old, new in (
        ("config.yaml", b"steps: 4", b"steps: 5"),
        ("config.yaml", b"steps: 4", b"steps: [4]"),
        ("state.json", b'"steps": 4', b'"steps": 5'),
        ("state.json", b'"finished": true', b'"finished": [true]'),
    ):
        assert old in whole[file]
        (run / file).write_bytes(whole[file].replace(old, new))
        before = contents(tmp_path)
        for command in commands:
            refused(cli(*command), str(run / file))
        assert contents(tmp_path) == before
        (run / file).write_bytes(whole[file])


@every_task
def test_changed_weights(name: str, runs: dict[str, Trained], tmp_path: Path) -> None:
    run = shutil.copytree(runs[name].run, tmp_path / "run")
    path = run / "weights.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes([whole[-8] ^ 16]) + whole[-7:])
    with pytest.raises(FrugalsegError, match="is not as the training wrote it"):
        frugalseg.load(run)
    tensors = {key: torch.full_like(value, 3) for key, value in load_file(path).items()}
    save_file(tensors, path)
    with pytest.raises(FrugalsegError, match="is not as the training wrote it"):
        frugalseg.load(run)


@every_task
def test_answers_that_are_not_finite(name: str, runs: dict[str, Trained], tmp_path: Path) -> None:
    run = frugalseg.load(runs[name].run)
    network = run.model.segmenter if name == "segment" else run.net
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(torch.nan)
    path = next(path for path in sorted(runs[name].images.rglob("*")) if path.is_file())
    with pytest.raises(FrugalsegError, match="answer is not finite"):
        run.predict(path)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    path = tmp_path / "weights.safetensors"
    save_weights(layer, path)
    with pytest.raises(FrugalsegError, match="is not as the training wrote it"):
        load_weights(layer, path, "another digest")
    torch.nn.init.constant_(layer.bias, torch.inf)
    save_file(layer.state_dict(), path)
    digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    with pytest.raises(FrugalsegError, match="holds weights that are not finite"):
        load_weights(layer, path, digest)
    with pytest.raises(FrugalsegError, match=r"weights are not finite.* lower --learning-rate"):
        save_weights(layer, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_result_that_is_not_finite_finishes_no_run(tmp_path: Path) -> None:
    config: TrainingConfig = CONFIGS["segment"](data="scenes")
    run = RunDir(tmp_path / "run", config)
    run.begin()
    save_weights(torch.nn.Linear(2, 2), run.weights)
    with pytest.raises(FrugalsegError, match=r"results are not finite.* lower --learning-rate"):
        run.finish({"resolved": config.plain(), "losses": [1.0, math.nan]})
    with pytest.raises(FrugalsegError, match="is not finished"):
        run.finished(type(config))


def a_file_more(image: Path, mask: Path | None) -> None:
    for path in (image, mask):
        if path is not None:
            shutil.copy(path, path.with_name(f"zz{path.suffix}"))


def a_file_less(image: Path, mask: Path | None) -> None:
    for path in (image, mask):
        if path is not None:
            path.unlink()


def other_pixels(image: Path, mask: Path | None) -> None:
    pixels = np.array(Image.open(image))
    Image.fromarray(pixels[::-1]).save(image)


def other_labels(image: Path, mask: Path | None) -> None:
    if mask is None:
        image.rename(image.parents[1] / "2" / "zz.png")
        return
    ids = np.array(Image.open(mask))
    Image.fromarray(ids[::-1]).save(mask)


CHANGES = {
    a_file_more: "images; the data now have ",
    a_file_less: "gone: ",
    other_pixels: "other contents of ",
    other_labels: "",
}


@every_task
def test_data_that_change_while_a_training_is_interrupted(
    name: str, runs: dict[str, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = KITS[name]
    source = kit.make(tmp_path)
    data = tmp_path / Path(kit.image).parts[0]
    monkeypatch.setattr(trainer, "CHECKPOINT_STEPS", 2)
    whole = StepModule.on_train_batch_start

    def interrupted(self: StepModule, batch: Any, batch_idx: int) -> None:
        if self.global_step == 3:
            raise KeyboardInterrupt
        whole(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(StepModule, "on_train_batch_start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            frugalseg.train(name, source, tmp_path / "run", **kit.settings)
    before = contents(tmp_path / "run")
    kept = shutil.copytree(data, tmp_path / "kept")
    folder = data / "images" if (data / "images").is_dir() else data
    for change, says in CHANGES.items():
        if change is other_labels and name == "discover":
            continue  # it does not use the masks
        image = next(p for p in sorted(folder.rglob("*")) if p.suffix in (".png", ".jpg"))
        found = [*(data / "masks").rglob(f"{image.stem}.png")]
        change(image, next(iter(found), None))
        with pytest.raises(FrugalsegError, match=f"was begun with .*{says}.*: name another"):
            frugalseg.train(name, source, tmp_path / "run", **kit.settings)
        assert contents(tmp_path / "run") == before
        shutil.rmtree(data)
        shutil.copytree(kept, data)
    frugalseg.train(name, source, tmp_path / "run", **kit.settings)
    again, first = (
        load_file(run / "weights.safetensors") for run in (tmp_path / "run", runs[name].run)
    )
    assert all(torch.equal(again[key], first[key]) for key in first)


def test_a_class_more(tmp_path: Path) -> None:
    """Classes are found in the masks; the training had not yet come to a checkpoint."""
    kit = KITS["segment"]
    data = kit.make(tmp_path)
    (data / "classes.csv").unlink()
    opened = TASKS["segment"].open_data(CONFIGS["segment"](data=str(data)))
    config = CONFIGS["segment"](data=str(data), **kit.settings)
    RunDir(tmp_path / "run", config, opened).begin()
    mask = next((data / "masks").rglob("*.png"))
    ids = np.array(Image.open(mask))
    ids[:3, :3] = 77
    Image.fromarray(ids).save(mask)
    words = [w for k, v in config.plain().items() if k in kit.settings for w in option(k, v)]
    answer = cli("segment", data, "--run", tmp_path / "run", *words)
    refused(answer, "was begun with the classes ", "class_77 (id 77", "--run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def option(name: str, value: Any) -> Iterator[str]:
    """A setting as words of a command."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from option(f"{name}.{key}", each)
        return
    yield from (f"--{name.replace('_', '-')}", str(value))
