"""One contract over all tasks: what holds for the runs of one holds for those of every one."""

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import frugalseg
from frugalseg.engine import trainer
from frugalseg.engine.config import TaskConfig, default_of
from frugalseg.engine.environment import default_device
from frugalseg.engine.module import StepModule
from frugalseg.engine.results import Result, group_seeds
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.tasks import CONFIGS, TASKS, base
from tasks.kits import KITS, Trained, contents
from tiny import Spoil, remove, write

every_task = pytest.mark.parametrize("name", list(KITS))


def task_of(name: str) -> str:
    return KITS[name].task or name


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "weights.safetensors")


def one_sentence(error: pytest.ExceptionInfo[FrugalsegError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith((".", ")"))
    return text


def test_every_task_has_a_kit_and_a_configuration() -> None:
    assert [name for name in KITS if task_of(name) == name] == list(TASKS) == list(CONFIGS)
    for name, task in TASKS.items():
        assert task.name == name
        assert task.config is CONFIGS[name]


@every_task
def test_only_training_waits_for_lightning(name: str, runs: dict[str, Trained]) -> None:
    code = (
        "import sys, frugalseg\nfrugalseg.load(sys.argv[1])\n"
        "print('torch' in sys.modules, 'lightning' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(runs[name].run)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@every_task
def test_a_finished_run_is_left_alone(name: str, runs: dict[str, Trained]) -> None:
    trained = runs[name]
    kept = ["config.yaml", "state.json", "weights.safetensors", "environment.json"]
    kept += [] if trained.kit.step else ["metrics.jsonl"]
    before = {file: (trained.run / file).read_bytes() for file in kept}
    when = (trained.run / "weights.safetensors").stat().st_mtime_ns
    frugalseg.train(task_of(name), trained.source, trained.run, **trained.kit.settings)
    assert {file: (trained.run / file).read_bytes() for file in kept} == before
    assert (trained.run / "weights.safetensors").stat().st_mtime_ns == when


@every_task
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("power cut")], ids=type)
def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    name: str,
    error: BaseException,
    runs: dict[str, Trained],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = runs[name]
    monkeypatch.setattr(trainer, "CHECKPOINT_STEPS", 2)
    whole = StepModule.on_train_batch_start

    def stopped(*_: Any, **__: Any) -> None:
        raise error

    def interrupted(self: StepModule, batch: Any, batch_idx: int) -> None:
        if self.global_step == 3:
            raise error
        whole(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        if trained.kit.step:
            patch.setattr(trained.kit.step, stopped)
        else:
            patch.setattr(StepModule, "on_train_batch_start", interrupted)
        with pytest.raises(type(error)):
            frugalseg.train(task_of(name), trained.source, tmp_path / "run", **trained.kit.settings)
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    with pytest.raises(FrugalsegError, match="is not finished") as refused:
        frugalseg.load(tmp_path / "run")
    one_sentence(refused)
    frugalseg.train(task_of(name), trained.source, tmp_path / "run", **trained.kit.settings)
    again, before = weights(tmp_path / "run"), weights(trained.run)
    assert again.keys() == before.keys()
    assert all(torch.equal(again[key], before[key]) for key in before)
    steps = [(line["training"], line["step"]) for line in RunDir(tmp_path / "run").history()]
    assert len(steps) == len(set(steps))
    assert not (tmp_path / "run" / "checkpoints").exists()


@every_task
def test_other_settings_are_refused(name: str, runs: dict[str, Trained]) -> None:
    trained = runs[name]
    before = contents(trained.run)
    settings = trained.kit.settings | trained.kit.other
    with pytest.raises(FrugalsegError, match="other settings") as refused:
        frugalseg.train(task_of(name), trained.source, trained.run, **settings)
    assert next(iter(trained.kit.other)) in one_sentence(refused)
    assert contents(trained.run) == before


@every_task
def test_a_folder_of_something_else_is_refused(name: str, runs: dict[str, Trained]) -> None:
    trained = runs[name]
    folder = trained.source.parent / "photographs"
    folder.mkdir(exist_ok=True)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(FrugalsegError, match="is no run") as refused:
        frugalseg.train(task_of(name), trained.source, folder, **trained.kit.settings)
    one_sentence(refused)
    assert contents(folder) == {"mine.txt": b"mine"}


@every_task
def test_a_run_of_another_task_is_refused(name: str, runs: dict[str, Trained]) -> None:
    trained = runs[name]
    other = next(task for task in TASKS if task != task_of(name))
    with pytest.raises(
        FrugalsegError, match=f"a run of '{other}', not of '{task_of(name)}'"
    ) as refused:
        frugalseg.train(task_of(name), trained.source, runs[other].run, **trained.kit.settings)
    one_sentence(refused)


SPOILT: dict[str, Spoil] = {
    "no configuration": remove("config.yaml"),
    "configuration of nothing": write("config.yaml", ""),
    "configuration that is no YAML": write("config.yaml", "a: [1"),
    "configuration of a list": write("config.yaml", "- 1"),
    "no state": remove("state.json"),
    "state that is no JSON": write("state.json", "{"),
    "state of nothing": write("state.json", "{}"),
    "state of a list": write("state.json", "[]"),
    "no weights": remove("weights.safetensors"),
    "half of the weights": lambda run: (run / "weights.safetensors").write_bytes(
        (run / "weights.safetensors").read_bytes()[:-100]
    ),
    "weights of something else": write("weights.safetensors", "weights"),
}


@every_task
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=list(SPOILT))
def test_a_spoilt_run_is_refused(
    name: str, spoil: Spoil, runs: dict[str, Trained], tmp_path: Path
) -> None:
    run = shutil.copytree(runs[name].run, tmp_path / "run")
    spoil(run)
    with pytest.raises(FrugalsegError) as refused:
        frugalseg.load(run)
    assert str(tmp_path / "run") in one_sentence(refused)


def other_values(name: str) -> Iterator[tuple[str, TaskConfig]]:
    """For each setting of a task, a configuration that differs from the default in it alone."""
    kind = CONFIGS[name]
    default = kind()
    examples: dict[Any, Any] = {bool: True, int: 3, float: 0.5, str: "x", dict: {"a": 1}}
    for field in dataclasses.fields(kind):
        value = default_of(field)
        if isinstance(value, bool):
            other: Any = not value
        elif isinstance(value, dict):
            other = examples[dict]
        elif isinstance(value, int | float):
            other = value + 1
        elif isinstance(value, tuple):
            other = (*value, *value) or ("x",)
        else:
            other = "x" if value != "x" else "y"
        yield field.name, dataclasses.replace(default, **{field.name: other})


WITHOUT_EFFECT = {"devices", "nodes", "features"}  # hardware, and where files are kept
OF_THE_SAME_ROW = {"seed"}


@pytest.mark.parametrize("name", list(TASKS))
def test_every_setting_away_from_its_default_tells_runs_apart(name: str) -> None:
    kind = TASKS[name].result
    default = CONFIGS[name]()

    def result(config: TaskConfig, seed: int) -> Result:
        shown = {key: getattr(config, key, None) for key in kind.names}
        what = {"data": config.data, "split": "val", "seed": seed, "run": "run", **shown}
        return Result(kind, what | {"variant": config.variant(kind.names)}, {}, None)

    for setting, config in other_values(name):
        groups = group_seeds([result(default, 0), result(config, 1)])
        expected = 1 if setting in WITHOUT_EFFECT | OF_THE_SAME_ROW else 2
        assert len(groups) == expected, setting


@every_task
def test_predictions_overwrite_nothing_of_the_users(
    name: str, runs: dict[str, Trained], tmp_path: Path
) -> None:
    run = shutil.copytree(runs[name].run, tmp_path / "run")
    images = shutil.copytree(runs[name].images, tmp_path / "images")
    before, mine = contents(images), contents(run)
    for out in (images, tmp_path / "out", None):
        try:
            base.predict(run, [images], out)
        except FrugalsegError as refusal:
            assert "overwritten" in str(refusal)  # noqa: PT017 - either is right
        after = contents(images)
        assert {file: after[file] for file in before} == before
        after = contents(run)
        assert {file: after[file] for file in mine} == mine
    assert contents(tmp_path / "out")


@every_task
def test_commands_take_strings_and_have_the_defaults_of_the_command_line(
    name: str, runs: dict[str, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = runs[name]
    run = str(shutil.copytree(trained.run, tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    names = frugalseg.predict(run, [str(trained.images)])
    assert names
    assert (tmp_path / "run" / "predictions").is_dir()
    frugalseg.predict(run, [str(trained.images)], "out")
    assert any((tmp_path / "out").iterdir())
    if TASKS[task_of(name)].compare is not None:
        (result,) = frugalseg.compare([run])
        assert result.run == "run"
        assert (tmp_path / "comparison.html").is_file()
    if TASKS[task_of(name)].suggest is not None:
        assert len(frugalseg.suggest(run, 2)) == 2
        assert (tmp_path / "run" / "to_label.csv").is_file()


@every_task
def test_a_loaded_run_predicts_files_and_arrays(name: str, runs: dict[str, Trained]) -> None:
    from frugalseg.data.images import read_image

    run = frugalseg.load(runs[name].run)
    network = run.model if name == "segment" else run.net
    assert {p.device.type for p in network.parameters()} == {default_device().type}
    path = next(path for path in sorted(runs[name].images.rglob("*")) if path.is_file())
    of_file, of_array = run.predict(path), run.predict(read_image(path))
    assert isinstance(of_file.labels, np.ndarray)
    assert np.array_equal(of_file.labels, of_array.labels)
    size = read_image(path).shape[:2]
    assert of_file.labels.shape == ((1,) if name in ("cluster", "finetune") else size)


@every_task
def test_a_network_is_taken_from_python(
    name: str, runs: dict[str, Trained], tmp_path: Path
) -> None:
    trained = runs[name]
    make = trained.kit.network
    settings = {k: v for k, v in trained.kit.settings.items() if k not in trained.kit.without}
    if make is None:
        with pytest.raises(FrugalsegError, match="takes no network") as refused:
            frugalseg.train(
                task_of(name), trained.source, tmp_path / "run", torch.nn.Identity(), **settings
            )
        one_sentence(refused)
        return
    network = make()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    run = frugalseg.train(task_of(name), trained.source, tmp_path / "run", network, **settings)
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())
    with pytest.raises(FrugalsegError, match="hand it in again") as refused:
        frugalseg.load(tmp_path / "run")
    one_sentence(refused)
    path = next(path for path in sorted(trained.images.rglob("*")) if path.is_file())
    again = frugalseg.load(tmp_path / "run", make())
    assert np.array_equal(again.predict(path).labels, run.predict(path).labels)
    with pytest.raises(FrugalsegError, match="none can be handed in"):
        frugalseg.load(trained.run, make())
    named = settings | {trained.kit.without[0]: trained.kit.settings[trained.kit.without[0]]}
    with pytest.raises(FrugalsegError, match="leave one of them out"):
        frugalseg.train(task_of(name), trained.source, tmp_path / "other", make(), **named)
    assert not (tmp_path / "other").exists()


@every_task
def test_hardware_is_chosen_for_every_task(
    name: str, runs: dict[str, Trained], tmp_path: Path
) -> None:
    trained = runs[name]
    settings = trained.kit.settings | {"precision": "bf16-mixed", "devices": "1"}
    run = frugalseg.train(task_of(name), trained.source, tmp_path / "run", **settings)
    assert RunDir(tmp_path / "run").settings()["precision"] == "bf16-mixed"
    assert all(value.isfinite().all() for value in weights(tmp_path / "run").values())
    assert run.config.devices == "1"
    settings["devices"] = "many"
    with pytest.raises(FrugalsegError, match="devices=many"):
        frugalseg.train(task_of(name), trained.source, tmp_path / "other", **settings)
    assert not (tmp_path / "other").exists()


@every_task
def test_data_in_the_current_folder_have_its_name(
    name: str, runs: dict[str, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = runs[name]
    source = shutil.copytree(trained.source, tmp_path / "mine")
    monkeypatch.chdir(source)
    frugalseg.train(task_of(name), ".", None, **trained.kit.settings)
    places = [*source.glob("runs/*"), *tmp_path.glob("mine-*")]
    assert [place.name.startswith("mine-") for place in places] == [True]
    results = [path.name for path in places[0].glob("results/*.json")]
    expected = {"finetune": "digits-", "finetune of masks": "textures-"}.get(name, "mine-")
    assert results
    assert all(result.startswith(expected) for result in results)
