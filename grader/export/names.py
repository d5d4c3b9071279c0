"""Identifiers for what a submission named: any text in, a plain Python name out, each of them once."""

from __future__ import annotations

import keyword
import re

LENGTH_CAP = 60  # code points

# The names that the generated module uses, and what `nn.Module` answers to: an attribute of that name would hide it.
RESERVED = frozenset(
    "F Path attrgetter load forward_evaluation forward_training nn torch super float slice "
    "T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches "
    "eval extra_repr forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules "
    "mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook "
    "register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook "
    "register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook "
    "register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ "
    "set_extra_state set_submodule share_memory state_dict to to_empty train training type xpu zero_grad".split()
)


def identifier(text: str, otherwise: str) -> str:
    """Return a plain name that resembles a text; `otherwise` where nothing of it can stand in one."""
    name = re.sub(r"[^0-9A-Za-z]+", "_", text).strip("_")[:LENGTH_CAP]
    if name[:1].isdigit():
        name = f"{otherwise}_{name}"
    name = name or otherwise
    return f"{name}_" if name in RESERVED or keyword.iskeyword(name) else name


class Names:
    """Hands out names, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, text: str, otherwise: str) -> str:
        """Return a name that resembles a text, with a number behind it where another text got it first."""
        name = plain = identifier(text, otherwise)
        while name in self._taken:
            self._next[plain] = self._next.get(plain, 1) + 1
            name = f"{plain}_{self._next[plain]}"
        self._taken.add(name)
        return name
