"""The loop that fits heads: it resumes exactly, keeps the best epoch, gives up, refuses what it cannot go on with."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")

from uois_sam_ros.errors import ModelError  # noqa: E402
from uois_sam_ros.training.checkpoint import load_checkpoint  # noqa: E402
from uois_sam_ros.training.fit import FitConfig, fit, mix  # noqa: E402
from uois_sam_ros.training.ranks import Ranks, SharedDropout, seed_dropout, shared_layers  # noqa: E402

CONFIG = FitConfig(epochs=6, batch=8, lr=1e-2, drop_every=2, save_minutes=0)


class Slope(torch.nn.Module):
    """A network with dropout whose loss is the squared error of each item."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.ReLU(), torch.nn.Dropout(0.2),
                                        torch.nn.Linear(16, 1))

    def forward(self, x, y):
        return (self.body(x)[:, 0] - y) ** 2


class Line:
    """Noisy points of a plane; ``stop_after`` batches raise, as a kill would end the run between two steps."""

    def __init__(self, *, noise=0.1, stop_after=10**9, key="line"):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(44, 3, generator=generator)
        y = x @ torch.tensor([1.0, -2.0, 0.5]) + noise * torch.randn(44, generator=generator)
        self.module, self.sizes, self.key = Slope(), {"train": 34, "valid": 10}, key
        self._parts = {"train": (x[:34], y[:34]), "valid": (x[34:], y[34:])}
        self._left = stop_after

    def batches(self, part, indices, workers):
        for index in indices:
            if part == "train":
                if self._left == 0:
                    raise KeyboardInterrupt
                self._left -= 1
            yield tuple(tensor[index] for tensor in self._parts[part])


def run(task, folder, config=CONFIG):
    folder.mkdir(exist_ok=True)
    return fit(task, config, Ranks(), folder / "line.state", title="line")


def weights(task):
    return torch.cat([value.flatten() for value in task.module.state_dict().values()])


def test_the_loss_falls_and_the_rate_with_it(tmp_path):
    history = run(Line(), tmp_path, replace(CONFIG, lr=0.1))
    assert len(history) == 7 and set(history[0]) == {"samples", "validation"}
    assert history[-1]["validation"] < 0.5 * history[0]["validation"]
    assert [row["lr"] for row in history[1:]] == pytest.approx([1e-1, 1e-1, 1e-2, 1e-2, 1e-3, 1e-3])
    assert [row["samples"] for row in history] == [34.0 * k for k in range(7)]


@pytest.mark.parametrize("steps", [1, 5, 8, 17])
def test_a_stopped_run_ends_with_the_same_weights(tmp_path, steps):
    """Five batches an epoch: stopped within the first, at its end, and in later ones."""
    whole = Line()
    expected = run(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(Line(stop_after=steps), tmp_path / "killed")
    assert load_checkpoint(tmp_path / "killed" / "line.state")["state"]["step"] == steps % 5
    resumed = Line()
    assert run(resumed, tmp_path / "killed") == expected
    assert torch.equal(weights(resumed), weights(whole))


def test_the_best_epoch_is_kept_and_a_finished_run_is_not_repeated(tmp_path):
    config = replace(CONFIG, lr=0.3, drop_every=100, epochs=8)  # jumps about
    history = run(Line(), tmp_path, config)
    validations = [row["validation"] for row in history]
    assert min(validations) < validations[-1]
    again = Line(stop_after=0)
    assert run(again, tmp_path, config) == history
    x, y = again._parts["valid"]
    assert float(again.module(x, y).detach().mean()) == pytest.approx(min(validations), rel=1e-5)


def test_it_stops_early_and_never_ends_worse_than_it_began(tmp_path):
    task = Line()
    with torch.no_grad():  # weights that no step improves
        for value in task.module.parameters():
            value.zero_()
    history = run(task, tmp_path, replace(CONFIG, lr=1e-12, epochs=30, patience=3))
    assert len(history) <= 5
    assert history[0]["validation"] == pytest.approx(min(row["validation"] for row in history), rel=1e-6)


def test_more_epochs_go_on_where_fewer_ended(tmp_path):
    whole = Line()
    run(whole, tmp_path / "whole")
    run(Line(), tmp_path / "part", replace(CONFIG, epochs=2))
    longer = Line()
    run(longer, tmp_path / "part")
    assert torch.equal(weights(longer), weights(whole))


@pytest.mark.parametrize("task, config", [(Line(key="other frames"), CONFIG), (Line(), replace(CONFIG, lr=1e-3)),
                                          (Line(), replace(CONFIG, seed=1))])
def test_a_state_of_something_else_is_not_continued(tmp_path, task, config):
    run(Line(), tmp_path, replace(CONFIG, epochs=1))
    with pytest.raises(ModelError, match="new --out"):
        run(task, tmp_path, config)


def test_a_truncated_state_is_refused(tmp_path):
    run(Line(), tmp_path, replace(CONFIG, epochs=1))
    state = tmp_path / "line.state"
    state.write_bytes(state.read_bytes()[:2000])
    with pytest.raises(ModelError, match="damaged"):
        run(Line(), tmp_path)


def test_a_loss_that_is_not_finite_is_refused(tmp_path):
    task = Line(noise=float("inf"))
    with pytest.raises(ModelError, match="expected a finite loss.*lower the learning rate"):
        run(task, tmp_path)


@pytest.mark.parametrize("ranks, batch, message", [(35, 64, "35 ranks, got 34"), (3, 2, "in batches of 2")])
def test_fewer_items_than_ranks_are_refused(tmp_path, ranks, batch, message):
    with pytest.raises(ModelError, match=message):
        fit(Line(), replace(CONFIG, batch=batch), Ranks(0, ranks), tmp_path / "line.state", title="line")


def test_shares_of_a_batch_are_equal_and_disjoint():
    batch = torch.arange(11)
    parts = [Ranks(rank, 3).share(batch) for rank in range(3)]
    assert [len(part) for part in parts] == [3, 3, 3]
    assert sorted(torch.cat(parts).tolist()) == list(range(9))


def test_dropout_of_the_ranks_is_that_of_one():
    def dropped(rank, world, x):
        layer = shared_layers(torch.nn.Sequential(torch.nn.Dropout(0.4)), Ranks(rank, world))
        assert isinstance(layer[0], SharedDropout)
        seed_dropout(layer, 7)
        return layer(x)

    whole = dropped(0, 1, torch.ones(6, 50))
    for rank in range(2):
        assert torch.equal(dropped(rank, 2, torch.ones(3, 50)), whole[rank::2])
    assert 0.5 < float((whole > 0).float().mean()) < 0.7
    assert whole.max() == pytest.approx(1 / 0.6)


def test_seeds_are_mixed_the_same_everywhere():
    assert mix(0, 1) != mix(1, 0)
    assert mix(3, 5, 7) == 140523827
