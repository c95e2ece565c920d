"""How a hostile camera is told of: what it does, and how the gateway may end it."""
import dataclasses


@dataclasses.dataclass
class Mode:
    """`ends`: labels of `EndReason` or `Ending` that are right; `within`: the limit, s; None: it may go on.

    `basic`: the settings allow Basic.
    """

    run: object
    ends: tuple
    within: object
    basic: bool = False


MODES = {}


def mode(*ends, within=0, name=None, basic=False):
    def add(run):
        MODES[name or run.__name__] = Mode(run, ends, within, basic)
        return run

    return add


GRAMMAR = "grammar"
