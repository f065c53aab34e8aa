"""Files that are nearly right: a model with something in it changed."""

from collections.abc import Iterator
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from onnx import AttributeProto, ModelProto, NodeProto, defs, helper

Kind = defs.OpSchema.AttrType

NUMBERS = (0, 1, -1, 2, 3, 7, 127, 128, 255, 65536, 2**31 - 1, 2**40, -(2**31), 2**63 - 1, -(2**63))
REALS = (0.0, -1.0, 0.5, 3.0, 1e-30, 1e30, float("inf"), float("nan"))
WORDS = (
    "", "x", "y", "\0", "é" * 99, "/etc/passwd", "../../../../../../etc/passwd", "weights.bin",
    "link.bin", "location", "offset", "length", "8", "a\nb", "99999999999", "NOTSET", "SAME_UPPER",
    "SAME_LOWER", "VALID", "constant", "reflect", "edge", "wrap", "nearest", "linear", "cubic",
    "asymmetric", "align_corners", "tf_crop_and_resize", "floor", "ceil", "none", "add", "max",
    "mul", "tanh", "DCR", "CRD", "stretch", "not_larger", "ij,jk->ik", "...i,...i->...", "i",
)  # fmt: skip
OPERATORS = sorted({schema.name for schema in defs.get_all_schemas() if not schema.domain})


def mutated(content: bytes, random: Random) -> bytes:
    """A few changes: mostly to the model's fields, sometimes to its bytes."""
    if random.random() < 0.1:
        return in_bytes(content, random)
    try:
        before, model = ModelProto.FromString(content), ModelProto.FromString(content)
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            Mutation(model, random).change()
        while model == before:
            Mutation(model, random).change()
        return model.SerializeToString()
    except (DecodeError, TypeError, ValueError):  # no model, or text in it that is none
        return in_bytes(content, random)


def in_bytes(content: bytes, random: Random) -> bytes:
    """Bytes changed, left out, doubled, or put in."""
    data = bytearray(content)
    for _ in range(random.choice((1, 2, 8))):
        at = random.randrange(len(data) + 1)
        end = at + random.choice((1, 1, 4, 30))
        match random.randrange(4):
            case 0:
                data[at : at + 1] = random.choice((random.randbytes(1), b"\xff"))
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end]
            case 3:
                data[at:at] = random.randbytes(end - at)
    return bytes(data)


class Mutation:
    """A model on its way to another: all messages in it by their kind, and a source of chance."""

    def __init__(self, model: ModelProto, random: Random) -> None:
        self.random = random
        self.found: dict[str, list[Any]] = {}
        for message in messages(model):
            self.found.setdefault(message.DESCRIPTOR.name, []).append(message)

    def change(self) -> None:
        """Change one thing: an attribute, an operator, or any field of any message."""
        nodes = self.found.get("NodeProto", [])
        match self.random.randrange(6) if nodes else 2:
            case 0:
                self.set_attribute(self.random.choice(nodes))
            case 1:
                node = self.random.choice(nodes)
                node.op_type = self.random.choice(OPERATORS)
                del node.attribute[self.random.randrange(2) :]
            case _:
                kind = self.random.choice(list(self.found))
                self.change_field(self.random.choice(self.found[kind]))

    def set_attribute(self, node: NodeProto) -> None:
        """Give a node an attribute that its operator has, of the right type as a rule."""
        if not defs.has(node.op_type):
            return
        attributes = defs.get_schema(node.op_type).attributes
        if not attributes:
            return
        name = self.random.choice(sorted(attributes))
        value: Any
        match attributes[name].type:
            case Kind.INT:
                value = self.number()
            case Kind.INTS:
                value = [self.number() for _ in range(self.random.randrange(6))]
            case Kind.FLOAT | Kind.FLOATS:
                value = self.random.choice(REALS)
            case Kind.STRING:
                value = self.random.choice(WORDS)
            case _:
                value = [self.random.choice(WORDS)]
        kept = [a for a in node.attribute if a.name != name]
        kind = AttributeProto.INTS if value == [] else None
        made = helper.make_attribute(name, value, attr_type=kind)
        replace(node, "attribute", [*kept, made])

    def change_field(self, message: Message) -> None:
        """One field changed, left out, doubled, shuffled, or taken from elsewhere."""
        fields = [field for field, _ in message.ListFields()]
        if not fields or self.random.random() < 0.1:
            fields = list(message.DESCRIPTOR.fields)
        field = self.random.choice(fields)
        if field.is_repeated:
            self.change_list(message, field)
        elif self.random.random() < 0.1:
            message.ClearField(field.name)
        elif field.message_type is None:
            setattr(message, field.name, self.value_of(field, message))
        elif alike := self.found.get(field.message_type.name):
            # a copy first: what is chosen may hold the message itself
            getattr(message, field.name).CopyFrom(copied(self.random.choice(alike)))

    def change_list(self, message: Message, field: FieldDescriptor) -> None:
        """One element changed, left out, or doubled, or all of them in another order."""
        values = list(getattr(message, field.name))
        at = self.random.randrange(len(values) + 1)
        match self.random.randrange(5):
            case 0:
                del values[at : at + 1]
            case 1:
                values[at:at] = values[at : at + 1]
            case 2:
                self.random.shuffle(values)
            case _ if field.message_type is None:
                values[at : at + 1] = [self.value_of(field, message)]
            case _ if alike := self.found.get(field.message_type.name):
                values[at : at + 1] = [self.random.choice(alike)]
        replace(message, field.name, values)

    def value_of(self, field: FieldDescriptor, message: Message) -> Any:
        """Another value of that kind: an edge, or a name that the model has elsewhere."""
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                if field.name == "raw_data":
                    return self.data(getattr(message, field.name))
                return self.random.choice(WORDS).encode()
            case FieldDescriptor.CPPTYPE_STRING:
                return self.random.choice((self.random.choice(WORDS), self.name()))
            case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
                return self.random.choice(REALS)
            case FieldDescriptor.CPPTYPE_ENUM:
                return self.random.choice(field.enum_type.values).number
            case FieldDescriptor.CPPTYPE_INT64:
                return self.number()
            case FieldDescriptor.CPPTYPE_UINT64:
                return self.number() % 2**64
        return (self.number() + 2**31) % 2**32 - 2**31

    def number(self) -> int:
        """An edge, or a small number, as most are."""
        edge, small = self.random.choice(NUMBERS), self.random.randrange(-5, 30)
        return self.random.choice((edge, small))

    def data(self, content: bytes) -> bytes:
        """The bytes of a tensor with one of its numbers changed, or cut off there."""
        width = self.random.choice((1, 4, 8, 8))
        at = width * self.random.randrange(len(content) // width + 1)
        number = self.number().to_bytes(8, "little", signed=True)[:width]
        rest = number + content[at + width :]
        return content[:at] + self.random.choice((rest, rest, rest, b""))

    def name(self) -> str:
        """A text from somewhere in the model: of a tensor, an operator, an attribute."""
        texts = [
            text
            for group in self.found.values()
            for message in group
            for field, value in message.ListFields()
            if field.type == FieldDescriptor.TYPE_STRING
            for text in (value if field.is_repeated else [value])
        ]
        return self.random.choice(texts or WORDS)


def messages(message: Message) -> Iterator[Message]:
    """The message and all those inside it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from messages(inner)


def replace(message: Message, name: str, values: list[Any]) -> None:
    """Put copies of the values in place of a repeated field's."""
    copies = [copied(value) if isinstance(value, Message) else value for value in values]
    message.ClearField(name)
    getattr(message, name).extend(copies)


def copied(message: Message) -> Message:
    """A message that no longer lies inside another."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
