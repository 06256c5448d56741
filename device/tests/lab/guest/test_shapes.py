# SPDX-License-Identifier: Apache-2.0
"""A guest shape is what its name says, or refuses to be."""

from pathlib import Path

import pytest

from plx9x5x.lab.guest import shapes
from plx9x5x.lab.guest.shapes import HIGH, IOMMU, PLAIN, SHAPES, SWIOTLB, NoSuchShape, PointlessMemory


def test_shapes_go_by_their_names_and_each_has_a_line_for_people() -> None:
    assert [shapes.named(name) for name in SHAPES] == [PLAIN, HIGH, SWIOTLB, IOMMU]
    assert all(0 < len(shape.summary) < 70 for shape in SHAPES.values())
    with pytest.raises(NoSuchShape, match="no guest shape 'wide'; there are plain, high, swiotlb, iommu"):
        shapes.named("wide")


def test_the_plain_one_adds_nothing() -> None:
    assert (PLAIN.devices, PLAIN.words, PLAIN.needs_many_mappings) == ((), (), False)


def test_only_an_iommu_makes_many_mappings() -> None:
    assert [shape.name for shape in SHAPES.values() if shape.needs_many_mappings] == ["iommu"]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_memory_is_the_shapes_own_unless_it_is_asked_for(shape: shapes.Shape) -> None:
    assert shape.memory(None) == shape.memory_mib >= shape.least_mib
    assert shape.memory(8192) == 8192
    assert shape.memory(shape.least_mib) == shape.least_mib


@pytest.mark.parametrize(
    ("shape", "mib", "said"),
    [
        (HIGH, 2815, "a guest 'high' of 2815 MiB says nothing: its memory lies below 4 GiB, all of it; give it 2816"),
        (SWIOTLB, 127, "a guest 'swiotlb' of 127 MiB says nothing: the pool of 16 MiB"),
    ],
)
def test_memory_that_makes_a_shape_pointless_is_refused_with_what_would_do(
    shape: shapes.Shape, mib: int, said: str
) -> None:
    with pytest.raises(PointlessMemory, match=said):
        shape.memory(mib)


def test_readme_and_help_know_every_shape() -> None:
    page = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in SHAPES)
