# SPDX-License-Identifier: Apache-2.0
"""The vectors as data: their JSON is whole and follows its schema, and every model vector passes when replayed."""

import json
import re
from dataclasses import asdict, fields, replace

import pytest

from nthal.contract import CLAUSES, Access, BadObservation, Observation, from_record
from nthal.contract.observation import schema
from nthal.contract.record import observe, observe_free, observe_unload
from nthal.contract.vectors import SCHEMA, export
from nthal.platforms import FIXTURES, PROFILES, Tail
from nthal.types import La
from nthal.verifier import DmaViolation
from nthal.windows import Caching, Irql, WindowsVersion

VECTORS = json.loads(json.dumps(export()))["vectors"]


def platform_of(data):
    platform = FIXTURES[data["name"]]
    if "free" in data:
        spans = [tuple(int(end, 16) for end in span.split("-")) for span in data["free"].split(",")]
        platform = platform.with_free(*spans)
    if "windows" in data:
        platform = replace(platform, windows=WindowsVersion[data["windows"]])
    if "profile" in data:
        platform = replace(platform, switches=PROFILES[data["profile"]])
    platform = platform.with_switches(
        tail=Tail(data["tail"]) if "tail" in data else None,
        word_channel_boundary=data.get("word_channel_boundary"),
        reactos_grant=data.get("reactos_grant"),
    )
    plain = {name: data[name] for name in ("page_size", "register_cap", "register_pool", "verifier") if name in data}
    return replace(platform, **plain)


class Replay:
    def __init__(self, bench, vector):
        name = vector["adapter"]["name"]
        changes = {key: value for key, value in vector["adapter"].items() if key != "name"}
        self.b = bench(platform_of(vector["platform"]), name, **changes)
        self.buffer = self.violation = None
        for step in vector["steps"]:
            self.violation = None
            try:
                getattr(self, step["call"])(**step["args"])
            except DmaViolation as caught:
                self.violation = caught

    def get_adapter(self):
        pass

    def allocate_common_buffer(self, length, irql=0):
        with self.b.machine.at_irql(Irql(irql)):
            self.buffer = self.b.acb(length)

    def allocate_ex(self, length, maximum=None, cache_enabled=True):
        self.buffer = self.b.ex(length, maximum=maximum, cache=cache_enabled)

    def allocate_with_bounds(self, length, minimum=None, maximum=None, cache_type=None):
        caching = None if cache_type is None else Caching(cache_type)
        self.buffer = self.b.bounds(length, minimum=minimum, maximum=maximum, caching=caching)

    def free(self, length=None):
        self.b.free(self.buffer if length is None else replace(self.buffer, length=length))

    def put_adapter(self):
        self.b.ops.PutDmaAdapter(self.b.adapter)

    def cpu_read(self, offset):
        self.b.machine.cpu_read(self.buffer.va + offset, 1)

    def cpu_write(self, offset):
        self.b.machine.cpu_write(self.buffer.va + offset, b"\x77")

    def device_write(self, offset):
        self.b.machine.device_write(self.buffer.la + offset, b"\x77")

    def device_read_at_pa(self):
        self.b.machine.device_read(La(self.b.pa(self.buffer)), 1)

    def check(self, name, value):
        b, buffer = self.b, self.buffer
        match name:
            case "null":
                return (buffer is None) is value
            case "violation":
                return (self.violation is not None) is value
            case "code":
                return self.violation.code == value
            case "p2":
                return self.violation.parameters[0] == value
            case "pages_used":
                return b.used == value
            case "granted":
                return b.registers == value
            case "no_adapter":
                return (b.adapter_or_none is None) is value
            case "registers_free":
                return b.machine.registers.total == value
            case "registers_held":
                return b.adapter.core.books.registers.live == value
            case "caching":
                return b.machine.space.find(buffer.va).caching == value
            case "pa_ge":
                return b.pa(buffer) >= value
            case "la_minus_pa":
                return int(buffer.la) - b.pa(buffer) == value
        la, last = int(buffer.la), int(buffer.la) + buffer.length - 1
        return {
            "la": la == value,
            "la_mod": la % max(value, 1) == 0,
            "va_mod": int(buffer.va) % max(value, 1) == 0,
            "page_offset": la % 4096 == int(buffer.va) % 4096 == value,
            "last_le": last <= value,
            "first_ge": la >= value,
            "no_cross": la // max(value, 1) == last // max(value, 1),
        }[name]


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["where"] == "model"], ids=lambda v: v["id"])
def test_a_replayed_vector_gives_what_it_expects(bench, vector):
    replay = Replay(bench, vector)
    wrong = [f"{name}={value}" for name, value in vector["expect"].items() if not replay.check(name, value)]
    assert not wrong, str(replay.violation)


def test_every_vector_names_clauses_that_exist_and_no_number_twice():
    assert len({vector["id"] for vector in VECTORS}) == len(VECTORS)
    assert all(set(vector["clauses"]) <= set(CLAUSES) for vector in VECTORS)


def conforms(value, schema):
    """As much of JSON Schema as this schema uses."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    if "const" in schema:
        return value == schema["const"]
    if "enum" in schema:
        return value in schema["enum"]
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(isinstance(value, kinds[name]) for name in types):
        return False
    if isinstance(value, bool) and "boolean" not in types:
        return False
    if isinstance(value, int) and value < schema.get("minimum", value):
        return False
    if isinstance(value, str) and "pattern" in schema:
        return re.search(schema["pattern"], value) is not None
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(conforms(item, schema["items"]) for item in value)
    if isinstance(value, dict):
        known, extra = schema.get("properties", {}), schema.get("additionalProperties", True)
        if not set(schema.get("required", ())) <= set(value):
            return False
        return all(
            conforms(item, known[key]) if key in known else (extra is not False and conforms(item, extra))
            for key, item in value.items()
        )
    return True


def test_the_export_follows_its_schema():
    data = json.loads(json.dumps(export()))
    assert conforms(data, SCHEMA)
    data["vectors"][0]["colour"] = 1
    assert not conforms(data, SCHEMA)


# --- observations ----------------------------------------------------------------------------------------------------


def record_of(seen):
    """As it stands in a file: without what is not known, through JSON."""
    return json.loads(json.dumps({name: value for name, value in asdict(seen).items() if value not in (None, ())}))


@pytest.mark.parametrize("platform", ["flat", "iommu", "mapreg", "arm0", "isa"])
def test_a_real_record_follows_the_schema_and_is_read_back_as_it_was(bench, platform):
    b = bench(FIXTURES[platform].verified(), "S1" if platform == "isa" else "A32v3")
    b.ok(5000)
    (buffer,) = b.machine.bus.buffers()
    for seen in (observe(b.machine, buffer, 1), observe_free(buffer, 2, after=b.machine), observe_unload(3)):
        record = record_of(seen)
        assert conforms(record, schema())
        assert from_record(record) == seen


WHOLE = {
    "order": 1,
    "kind": "free",
    "origin": "linux",
    "la": "0x1000",
    "page_size": 8192,
    "pages": [1, "2"],
    "null": False,
    "departs": ["AM-07"],
    "access": [{"offset": 0, "cpu": 1, "device": "0x01"}],
}
WRONG = {
    "order": (None, "one", -1, 1.5, True),
    "kind": ("grow", 1, None),
    "origin": ("freebsd", ["linux"]),
    "la": ("ten", "-1", [], 0.0, "0x"),
    "page_size": (0, False),
    "boundary": (0,),
    "pages": (5, ["x"], [None], [-1]),
    "null": (0, "false"),
    "departs": ("AM-07", [7]),
    "routine": (3,),
    "access": (
        [5],
        [{"offset": 1}],
        [{"offset": 0, "cpu": 1, "device": 1, "more": 1}],
        [{"offset": 0, "cpu": 1, "device": None}],
    ),
    "colour": (3,),
}


def test_the_reader_and_the_schema_take_the_same_record():
    assert conforms(WHOLE, schema())
    assert from_record(WHOLE) == Observation(
        1,
        kind="free",
        origin="linux",
        la=0x1000,
        page_size=8192,
        pages=(1, 2),
        departs=("AM-07",),
        access=(Access(0, 1, 1),),
    )


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, some in WRONG.items() for value in some])
def test_the_reader_and_the_schema_refuse_the_same_records(name, value):
    wrong = WHOLE | {name: value}
    assert not conforms(wrong, schema())
    if name != "kind" or value is not None:  # None is not known, and the field has a default
        with pytest.raises(BadObservation, match=name):
            from_record(wrong)


def test_the_schema_is_that_of_the_fields_each_with_its_words():
    properties = schema()["properties"]
    assert list(properties) == [one.name for one in fields(Observation)]
    assert all(one["description"] for one in properties.values())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert not conforms({}, schema())
