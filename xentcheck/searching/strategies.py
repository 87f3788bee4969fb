"""Strategies that compete in a search. Each proposes blocks of rows and learns how bad they were.

A strategy draws from a stream of its own and sees the rows of the others only in the shared pool.
So what it proposes does not depend on how long the search may take.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from xentcheck.floats import from_ordinals, ordinals, to_float64
from xentcheck.model import Array, Case, Domain, Float64Array, LabelKind
from xentcheck.searching.climbing import fittest
from xentcheck.searching.moves import children
from xentcheck.searching.pool import Pool
from xentcheck.searching.space import CHANCES, COUNTS, Setting, Space
from xentcheck.searching.trials import joined

PARENTS = 8
IDLE = 8
"""A population starts again after this many blocks without a worse row."""

LEAPING = 0.1  # how often a number of a child is taken to another power of two

CHANGED = 0.25
"""How often a new start has other parameters than those that were asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rows to try in one call, and the parameters that they have in common."""

    case: Case
    setting: Setting


class Strategy(Protocol):
    """Proposes rows, and is told how bad they were."""

    def propose(self) -> Block:
        """The next rows, `Space.size` of them."""

    def learn(self, block: Block, worth: Float64Array) -> None:
        """Take the ratings (rows,) of the rows that were proposed last; -1 without one."""


class _Drawing:
    """What strategies have in common: the space, the pool and the stream of draws."""

    def __init__(self, space: Space, pool: Pool, rng: np.random.Generator) -> None:
        self.space = space
        self.pool = pool
        self.rng = rng

    def setting(self) -> Setting:
        """The parameters of a new start."""
        settings = self.space.settings
        if len(settings) == 1 or self.rng.random() >= CHANGED:
            return settings[0]
        return settings[int(self.rng.integers(1, len(settings)))]

    def shape(self) -> tuple[int, ...]:
        """The shape of a new start."""
        if self.space.elementwise:
            return (self.space.size,)
        counts = self.space.counts
        chances = np.array([dict(zip(COUNTS, CHANCES, strict=True)).get(c, 0.05) for c in counts])
        return (self.space.size, int(self.rng.choice(counts, p=chances / chances.sum())))

    def fresh(self, logits: Array, setting: Setting) -> Block:
        """A block of these logits with labels."""
        labels = self.space.labels(logits, self.rng, setting)
        return Block(self.space.case(logits, labels, setting), setting)


class Uniform(_Drawing):
    """Rows of which every number of the dtype is equally likely: the control of the competition."""

    def propose(self) -> Block:
        setting = self.setting()
        return self.fresh(self.space.uniform(self.shape(), self.rng), setting)

    def learn(self, block: Block, worth: Float64Array) -> None:
        """Nothing is learned."""


class Boundary(_Drawing):
    """Rows at and beside the numbers at which losses break, then small changes of the worst."""

    def __init__(self, space: Space, pool: Pool, rng: np.random.Generator) -> None:
        super().__init__(space, pool, rng)
        self.plan = self._planned()
        self.place = 0
        self.radius = 4
        self.own = Pool()
        self.turn = 0

    def _planned(self) -> npt.NDArray[np.int64]:
        """The first pass: rows of an anchor's index, the ulps beside it, and one of two labels.

        All anchors as they are, then the neighbours of the landmarks, then those of the others.
        """
        known = len(self.space.landmarks)
        every = self.rng.permutation(len(self.space.anchors))
        first, rest = every[every < known], every[every >= known]
        labels = (0,) if self.space.kind is LabelKind.NONE else (0, 1)
        parts = [(every, (0,)), (first, (1, -1, 2, -2, 3, -3, 4)), (rest, (1, -1))]
        return np.array(
            [
                (anchor, beside, label)
                for anchors, several in parts
                for beside in several
                for anchor in anchors.tolist()
                for label in labels
            ],
            dtype=np.int64,
        )

    def propose(self) -> Block:
        self.turn += 1
        systematic = self.place < len(self.plan)
        if self.turn % 3 == 0 or (not systematic and self.turn % 2 == 0):
            island = self.own.drawn(self.rng)
            if island is not None:
                return Block(children(island.people, self.space.size, self.rng), island.setting)
        return self._first_pass() if systematic else self._mixed()

    def learn(self, block: Block, worth: Float64Array) -> None:
        self.own.add(block.case, block.setting, worth)

    def _first_pass(self) -> Block:
        """Each anchor with its neighbours: alone, or as the gap of two classes, with each label."""
        size = self.space.size
        rows = np.resize(self.plan[self.place : self.place + size], (size, 3))
        self.place += size
        anchors = self.space.numbers(self.space.anchors[rows[:, 0]])
        numbers = self.space.moved(anchors, rows[:, 1])
        setting = self.space.settings[0]
        if self.space.elementwise:
            block = self.fresh(numbers, setting)
            if self.space.kind is LabelKind.TARGET and self.space.targets != "soft":
                ends = rows[:, 2].astype(block.case.logits.dtype)
                block = replace(block, case=replace(block.case, labels=ends))
            return block
        classes = 2 if 2 in self.space.counts else self.space.counts[0]
        logits = np.repeat(self._rest(numbers)[:, None], classes, axis=1)
        logits[:, 0] = numbers
        block = self.fresh(logits, setting)
        if self.space.kind is LabelKind.INTEGER:
            number = self.space.loss.classes(logits.shape, setting)
            block = replace(block, case=replace(block.case, labels=rows[:, 2] % number))
        return block

    def _rest(self, numbers: Array) -> Array:
        """The other number of two classes: 0 for logits, what is left of the mass otherwise."""
        wide = to_float64(numbers)
        match self.space.loss.domain:
            case Domain.LOGITS:
                return self.space.numbers(np.zeros(len(wide)))
            case Domain.PROBABILITIES:
                return self.space.numbers(1.0 - wide)
        with np.errstate(divide="ignore"):
            return self.space.numbers(np.log(-np.expm1(np.minimum(wide, 0.0))))

    def _mixed(self) -> Block:
        """Anchors in other company: beside an offset, opposite, equal, two anchors in one row."""
        rng, space = self.rng, self.space
        shape = self.shape()
        setting = self.setting()
        anchors = rng.choice(space.anchors, shape)
        if space.elementwise:
            logits = space.moved(space.numbers(anchors), self._steps(shape))
            wide = rng.random(shape) < 0.4  # any number beside any label: both may be extreme
            return self.fresh(np.where(wide, space.uniform(shape, rng), logits), setting)
        rows, classes = shape
        pattern = rng.integers(0, 6, (rows, 1))
        first = anchors[:, :1]
        base = np.where(rng.random((rows, 1)) < 0.5, 0.0, rng.choice(space.anchors, (rows, 1)))
        ordinary = to_float64(space.ordinary(shape, rng))
        at = rng.integers(0, classes, (rows, 1)) == np.arange(classes)
        with np.errstate(over="ignore", invalid="ignore"):
            logits = np.select(
                [pattern == k for k in range(5)],
                [
                    np.where(at, base + first, base),
                    np.where(at, first, -first),
                    np.broadcast_to(first, shape),
                    np.where(at, first, ordinary),
                    np.where(rng.random(shape) < 0.5, first, base),
                ],
                anchors,
            )
        if space.loss.domain is Domain.PROBABILITIES:
            logits = np.where((pattern < 2) & ~at, (1.0 - first) / max(classes - 1, 1), logits)
        self.radius = min(2 * self.radius, 1 << min(space.format.precision - 2, 20))
        return self.fresh(space.moved(space.numbers(logits), self._steps(shape)), setting)

    def _steps(self, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Small steps in ulps for about one number of a row."""
        sizes = 2.0 ** self.rng.uniform(0.0, np.log2(self.radius), shape)
        signs = self.rng.choice([-1, 1], shape)
        width = shape[1] if len(shape) > 1 else 1
        moved = self.rng.random(shape) < 1.0 / width
        return np.asarray(np.where(moved, signs * sizes.astype(np.int64), 0))


class Evolution(_Drawing):
    """A population that changes by small moves and by crossing; it starts again when it stalls."""

    def __init__(self, space: Space, pool: Pool, rng: np.random.Generator) -> None:
        super().__init__(space, pool, rng)
        self.people: Case | None = None
        self.worth: Float64Array = np.zeros(0)
        self.given: Setting = {}
        self.idle = 0

    def propose(self) -> Block:
        if self.people is None or self.idle >= IDLE:
            self.idle = 0
            self.people = None
            island = self.pool.drawn(self.rng) if self.rng.random() < 0.6 else None
            if island is None:
                self.given = self.setting()
                drawn = self.space.ordinary if self.rng.random() < 0.6 else self.space.uniform
                return self.fresh(drawn(self.shape(), self.rng), self.given)
            self.given = island.setting
            self.people, self.worth = island.people, island.worth
        if self.rng.random() < 0.1:
            other = self.space.varied(self.given, self.rng)
            if other != self.given:  # the same rows in other parameters
                people = children(self.people, self.space.size, self.rng)
                return Block(self.space.case(people.logits, people.labels, other), other)
        block = children(self.people, self.space.size, self.rng)
        return Block(self._leapt(self._crossed(block)), self.given)

    def learn(self, block: Block, worth: Float64Array) -> None:
        if self.people is None:
            self.people, self.worth = block.case, worth
        elif block.setting != self.given:
            if worth.max() > self.worth.max():
                self.given, self.people, self.worth, self.idle = block.setting, block.case, worth, 0
            return
        else:
            better = worth.max() > self.worth.max()
            self.idle = 0 if better else self.idle + 1
            self.people = joined(self.people, block.case)
            self.worth = np.concatenate([self.worth, worth])
        self.people, self.worth, _ = fittest(self.people, self.worth, self.worth, PARENTS)

    def _crossed(self, block: Case) -> Case:
        """The rows, a quarter of them with some numbers of one of the parents."""
        assert self.people is not None
        if block.logits.ndim == 1 or block.classes == 1:
            return block
        rows = block.rows
        other = self.people.logits[self.rng.integers(0, self.people.rows, rows)]
        taken = (self.rng.random(block.logits.shape) < 0.4) & (self.rng.random((rows, 1)) < 0.25)
        return replace(block, logits=np.where(taken, other, block.logits))

    def _leapt(self, block: Case) -> Case:
        """The rows, some of them with one number or label at another power of two."""
        rows, rng, space = block.rows, self.rng, self.space
        chosen_ = rng.random(rows)
        logits = block.logits.reshape(rows, -1)
        at = rng.integers(0, logits.shape[1], (rows, 1)) == np.arange(logits.shape[1])
        leaps = np.where((chosen_ < LEAPING)[:, None] & at, self._leaps((rows, 1)), 0)
        changed = replace(block, logits=space.moved(logits, leaps).reshape(block.logits.shape))
        if block.labels is None or block.fixed or space.kind is not LabelKind.TARGET:
            return changed
        leaps = np.where((chosen_ > 1.0 - LEAPING), self._leaps((rows,)), 0)
        one = int(ordinals(np.ones(1, dtype=block.labels.dtype))[0])
        moved = np.clip(ordinals(block.labels) + leaps, 0, one)
        return replace(changed, labels=from_ordinals(moved, space.dtype))

    def _leaps(self, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Steps of up to some dozen powers of two, in ulps."""
        precision = self.space.format.precision
        sizes = 2.0 ** self.rng.uniform(precision - 3, min(precision + 5, 52), shape)
        return np.asarray(self.rng.choice([-1, 1], shape) * sizes.astype(np.int64))


class Pattern(_Drawing):
    """Compass search in ulps: single numbers, pairs and all numbers of one row, up and down."""

    def __init__(self, space: Space, pool: Pool, rng: np.random.Generator) -> None:
        super().__init__(space, pool, rng)
        self.row: Case | None = None
        self.worst = -1.0
        self.given: Setting = {}
        self.step = 0.0

    def propose(self) -> Block:
        if self.row is None:
            island = self.pool.drawn(self.rng)
            if island is None:
                setting = self.setting()
                return self.fresh(self.space.ordinary(self.shape(), self.rng), setting)
            place = int(len(island.worth) * self.rng.random() ** 2)
            self.row = island.people.part(np.array([place]))
            self.worst, self.given = float(island.worth[place]), island.setting
            self.step = float(self.space.format.precision - 3)
        size, space = self.space.size, self.space
        rows = self.row.part(np.zeros(size, dtype=np.intp))
        logits = rows.logits.reshape(size, -1)
        width = logits.shape[1]
        # the first rows move single numbers, the others pairs and all of them
        one = self.rng.permutation(np.arange(size) % width)
        moved = np.arange(width) == one[:, None]
        kind = self.rng.integers(0, 4, size)
        other = (
            np.arange(width)
            == ((one + 1 + self.rng.integers(0, max(width - 1, 1), size)) % width)[:, None]
        )
        sign = np.where(np.arange(size) % 2 == 0, 1, -1)[:, None]
        direction = np.where(moved, sign, 0)
        direction = np.where((kind == 1)[:, None], direction - np.where(other, sign, 0), direction)
        direction = np.where((kind == 2)[:, None], sign, direction)
        sizes = 2.0 ** np.maximum(self.step - self.rng.integers(0, 4, (size, 1)), 0.0)
        steps = direction * sizes.astype(np.int64)
        changed = space.moved(logits, steps).reshape(rows.logits.shape)
        labels = rows.labels
        if labels is not None and not rows.fixed:
            relabelled = space.labels(changed, self.rng, self.given)
            assert relabelled is not None
            again = (kind == 3).reshape(-1, *[1] * (labels.ndim - 1))
            labels = np.where(again, relabelled, labels).astype(labels.dtype)
        return Block(replace(rows, logits=changed, labels=labels), self.given)

    def learn(self, block: Block, worth: Float64Array) -> None:
        if self.row is None:
            return
        best = int(worth.argmax())
        if worth[best] > self.worst:
            self.worst = float(worth[best])
            self.row = block.case.part(np.array([best]))
            self.step = min(self.step + 1.0, float(self.space.format.precision - 1))
        else:
            self.step -= 3.0
        if self.step < 0:
            self.row = None


class Line(_Drawing):
    """Scans a line through a row, then ever shorter pieces of it around the worst place."""

    def __init__(self, space: Space, pool: Pool, rng: np.random.Generator) -> None:
        super().__init__(space, pool, rng)
        self.row: Case | None = None
        self.given: Setting = {}
        self.index: npt.NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self.shift = False  # the line adds one number to all, in place of moving one in ulps
        self.first, self.last = 0.0, 0.0
        self.points: Float64Array = np.zeros(0)

    def propose(self) -> Block:
        space, size = self.space, self.space.size
        if self.row is None:
            self._start()
        assert self.row is not None
        self.points = np.linspace(self.first, self.last, size)
        rows = self.row.part(np.zeros(size, dtype=np.intp))
        logits = rows.logits.reshape(size, -1)
        if self.shift:
            with np.errstate(over="ignore"):
                moved = space.numbers(to_float64(logits) + self.points[:, None])
        else:
            low, high = space.ends
            at = np.clip(self.points, float(low), float(high)).astype(np.int64)
            line = from_ordinals(np.clip(at, low, high), space.dtype)
            moved = np.where(self.index, line[:, None], logits)
        return Block(replace(rows, logits=moved.reshape(rows.logits.shape)), self.given)

    def learn(self, block: Block, worth: Float64Array) -> None:
        best = int(worth.argmax())
        width = (self.last - self.first) / len(worth)
        fine = width < (1e-9 if self.shift else 1.0)
        if fine or not worth[best] > 0:
            self.row = None
            return
        self.first, self.last = self.points[best] - 2.0 * width, self.points[best] + 2.0 * width

    def _start(self) -> None:
        """Choose a row, a line through it, and a piece of the line."""
        rng, space = self.rng, self.space
        island = self.pool.drawn(rng) if rng.random() < 0.7 else None
        if island is None:
            setting = self.setting()
            block = self.fresh(space.ordinary(self.shape(), rng), setting)
            self.row, self.given = block.case.part(np.zeros(1, dtype=np.intp)), setting
        else:
            place = int(len(island.worth) * rng.random() ** 2)
            self.row, self.given = island.people.part(np.array([place])), island.setting
        numbers = self.row.logits.reshape(-1)
        self.shift = space.loss.domain is Domain.LOGITS and rng.random() < 0.3
        k = int(rng.integers(len(numbers)))
        self.index = np.arange(len(numbers)) == k
        if self.shift:
            self.first, self.last = -space.common, space.common
            return
        low, high = (float(end) for end in space.ends)
        here = float(ordinals(numbers[k : k + 1])[0])
        reach = 2.0 ** rng.uniform(6.0, np.log2(high - low))
        self.first, self.last = max(here - reach, low), min(here + reach, high)


STRATEGIES: Mapping[str, Callable[[Space, Pool, np.random.Generator], Strategy]] = {
    "boundary": Boundary,
    "evolution": Evolution,
    "pattern": Pattern,
    "line": Line,
    "random": Uniform,
}
"""The strategies by name, the control last."""
