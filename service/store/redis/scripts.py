"""Lua scripts: one file for each operation, in the folder of the store that runs it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from service.store import keys
from service.store.redis.parameters import Parameters

Argument = str | bytes | int | float
#: Values by declared name; the one for a variable-length rest is a sequence.
Keys = Mapping[str, str | Sequence[str]]
Arguments = Mapping[str, Argument | Sequence[Argument]]

_STORE: Final = Path(__file__).parents[1]
#: Path of each script by its name, without the parts that scripts share.
FILES: Final = {path.stem: path for path in sorted(_STORE.glob("*/*.lua"))}
_PARTS: Final = Path(__file__).parent / "parts"
_USES: Final = re.compile(r"^-- USES  (\w+)$", re.MULTILINE)
_WHEN_FULL: Final = re.compile(r"^-- WHEN FULL  (runs|refused|reads)$", re.MULTILINE)
#: Redis checks its memory only at the first write of a script, and a DEL passes that check: all writes after it pass.
_FITS: Final = f'redis.call("DEL", "{keys.SCRATCH}")\n'
#: A script whose first statement is a DEL needs no other one. Comments and local numbers may come before it.
_DELETES_FIRST: Final = re.compile(r'(?:--.*\n|local \w+ = \d+\n|\n)*redis\.call\("DEL", ')


class Script:
    """A Lua script. Its header declares KEYS, ARGV, RETURNS and the parts that it shares with other scripts.

    ``when_full``: on a full Redis the script ``runs`` or is ``refused``; ``reads``: it writes nothing.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        own = FILES[name].read_text()
        parts = "".join((_PARTS / f"{part}.lua").read_text() for part in _USES.findall(own))
        (self.when_full,) = _WHEN_FULL.findall(own)
        self.keys, self.arguments = Parameters("KEYS", own), Parameters("ARGV", own)
        prelude = self.keys.prelude() + self.arguments.prelude()
        deletes = _FITS if self.when_full == "runs" and not _DELETES_FIRST.match(own) else ""
        self.text = deletes + prelude + parts + own
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def pack(self, keys: Keys, arguments: Arguments) -> tuple[Argument, ...]:
        """The number of keys, the keys and the arguments, as ``EVALSHA`` expects them.

        Raises:
            TypeError: a declared name is missing, or a name is not declared.

        """
        ordered = self.keys.order(keys)
        return (len(ordered), *ordered, *self.arguments.order(arguments))
