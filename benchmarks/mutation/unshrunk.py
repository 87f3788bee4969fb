"""A pytest plugin: hypothesis stops at its first counterexample. One is enough to kill a mutant."""

from hypothesis import Phase, settings

settings.register_profile(
    "unshrunk",
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    database=None,
    derandomize=True,
    deadline=None,
)
settings.load_profile("unshrunk")
