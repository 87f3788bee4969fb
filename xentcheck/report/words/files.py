"""Names of files that a run writes beside each other."""


def free_name(name: str, taken: set[str]) -> str:
    """The name, with a number behind it if another has it; it is taken then.

    Upper and lower case count as the same, because some file systems ignore case.
    """
    chosen, number = name, 1
    while chosen.casefold() in taken:
        number += 1
        chosen = f"{name}-{number}"
    taken.add(chosen.casefold())
    return chosen
