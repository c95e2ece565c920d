"""Reads what the simulator's pictures carry. `src/app/simulator/pattern/layout.rs` describes the layout."""

import numpy as np

_CELLS = 20


def read_number(gray: np.ndarray) -> int | None:
    """The picture number (32 bits) of a grey picture (height x width, 8 bit); None: no whole bar code."""
    side = _side(gray)
    if gray.shape[1] < _CELLS * side or gray.shape[0] < 2 * side:
        return None
    number = 0
    for row in (1, 0):
        cells = [_cell(gray, row, column, side) for column in range(_CELLS)]
        if None in cells or (cells[0], cells[1], cells[19]) != (1 - row, row, row):
            return None
        bits = cells[2:18]
        if sum(bits) & 1 != cells[18]:
            return None
        for bit in bits:
            number = number << 1 | bit
    return number


def is_flash(gray: np.ndarray) -> bool:
    """Whether the flash block (bottom right) is white: from 0.40 s to 0.52 s of each second, with the beep."""
    side = _side(gray)
    height, width = gray.shape
    block = gray[height - 3 * side:height - side, width - 3 * side:width - side]
    quarter = side // 2
    return float(block[quarter:-quarter, quarter:-quarter].mean()) > 128


def _side(gray: np.ndarray) -> int:
    return 32 if gray.shape[1] >= 640 else 16


def _cell(gray: np.ndarray, row: int, column: int, side: int) -> int | None:
    margin = side // 4
    middle = gray[row * side + margin:(row + 1) * side - margin, column * side + margin:(column + 1) * side - margin]
    mean = float(middle.mean())
    if mean < 80:
        return 0
    return 1 if mean > 150 else None


def draw(gray: np.ndarray, number: int) -> None:
    """Writes the bar code of `number` into a grey picture: what `read_number` reads."""
    side = _side(gray)
    for row, bits in ((0, number & 0xFFFF), (1, number >> 16)):
        values = [bits >> (15 - i) & 1 for i in range(16)]
        cells = [1 - row, row, *values, sum(values) & 1, row]
        for column, cell in enumerate(cells):
            gray[row * side : (row + 1) * side, column * side : (column + 1) * side] = 235 if cell else 16
