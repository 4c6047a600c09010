"""The matrix of official SDKs: every one of them, in Python and Node, before every kind of provider.

A cell is one SDK, one provider behind, whole or streamed, and one thing that is asked for. What stands in a
cell is in `cells.py` and `others.py`, and for Node in `tests/node/judge.mjs`; here each cell is a test.
"""

import cells
import pytest


@pytest.mark.parametrize("cell", cells.CELLS, ids=lambda cell: "-".join(cell).replace(" ", "_"))
def test_cell(played, record_property, cell):
    problem = played[cell]
    record_property("cell", (cell, problem))
    assert problem is None, problem
