"""Every generator, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from xentcheck.sweeps.adaptive import ADAPTING
from xentcheck.sweeps.crossing import CROSSING
from xentcheck.sweeps.drawn import DRAWN
from xentcheck.sweeps.generator import Generator
from xentcheck.sweeps.recorded import RECORDED
from xentcheck.sweeps.systematic import SYSTEMATIC

GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {each.name: each for each in (*SYSTEMATIC, *CROSSING, *DRAWN, *RECORDED, *ADAPTING)}
)
