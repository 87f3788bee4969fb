"""The reader that all sections of a configuration share."""

import re
from dataclasses import dataclass
from pathlib import Path

from xentcheck.config.fields import FIELDS
from xentcheck.errors import nearest
from xentcheck.reading.yaml import Place, Reader, shown

WILDCARD = re.compile(r"[*?\[]")


@dataclass(slots=True)
class SectionReader(Reader):
    """A YAML reader that knows the sections of a configuration."""

    def section(self, place: Place, what: str) -> dict[str, Place] | None:
        declared = FIELDS[what]
        article = "an" if what[0] in "aeiou" else "a"
        return self.fields(
            place,
            f"{article} {what}" if what != "labels" else what,
            [each.name for each in declared],
            [each.name for each in declared if each.required],
        )

    def file_path(self, place: Place, text: str) -> str | None:
        """The path of an existing file, relative to the configuration's folder.

        None, with a problem noted, if it is not a file.
        """
        path = Path(self.file).parent / text
        try:
            exists, is_file = path.exists(), path.is_file()
        except (OSError, ValueError):
            exists = is_file = False
        if is_file:
            return str(path)
        message = "is not a file" if exists else "does not exist"
        beside = [each.name for each in path.parent.glob("*") if each.is_file()]
        best = nearest(path.name, beside)
        remedy = (
            f"looked in {path.parent}" if path.parent.is_dir() else f"there is no {path.parent}"
        )
        remedy += f"; did you mean {best!r}?" if best else ""
        self.fault(place, f"{shown(text)} {message}", remedy)
        return None
