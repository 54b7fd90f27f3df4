"""The Sparkplug B payload as protobuf classes, built at run time from the field table of sparkplug.proto.

Needs the `sparkplug` extra (protobuf); only devices/sparkplug.py and the simulator import it, and only when used.
"""

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "sensor_gateway.sparkplug"

# message -> fields as (number, name, type); a type in capitals is a message, "*" repeats, "|" puts it into the oneof.
FIELDS: dict[str, tuple[tuple[int, str, str], ...]] = {
    "PropertyValue": (
        (1, "type", "uint32"),
        (2, "is_null", "bool"),
        (3, "int_value", "|uint32"),
        (4, "long_value", "|uint64"),
        (5, "float_value", "|float"),
        (6, "double_value", "|double"),
        (7, "boolean_value", "|bool"),
        (8, "string_value", "|string"),
    ),
    "PropertySet": ((1, "keys", "*string"), (2, "values", "*PropertyValue")),
    "Template": (
        (1, "version", "string"),
        (2, "metrics", "*Metric"),
        (4, "template_ref", "string"),
        (5, "is_definition", "bool"),
    ),
    "Metric": (
        (1, "name", "string"),
        (2, "alias", "uint64"),
        (3, "timestamp", "uint64"),
        (4, "datatype", "uint32"),
        (5, "is_historical", "bool"),
        (6, "is_transient", "bool"),
        (7, "is_null", "bool"),
        (9, "properties", "PropertySet"),
        (10, "int_value", "|uint32"),
        (11, "long_value", "|uint64"),
        (12, "float_value", "|float"),
        (13, "double_value", "|double"),
        (14, "boolean_value", "|bool"),
        (15, "string_value", "|string"),
        (16, "bytes_value", "|bytes"),
        (18, "template_value", "|Template"),
    ),
    "Payload": (
        (1, "timestamp", "uint64"),
        (2, "metrics", "*Metric"),
        (3, "seq", "uint64"),
        (4, "uuid", "string"),
        (5, "body", "bytes"),
    ),
}


@cache
def payload_class() -> Any:
    """Return the class of the Payload message (its parts are made through its repeated fields)."""
    file = descriptor_pb2.FileDescriptorProto(name="sensor_gateway/sparkplug.proto", package=PACKAGE, syntax="proto2")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for number, field_name, written in fields:
            field = message.field.add(name=field_name, number=number)
            kind = written.lstrip("*|")
            if kind in FIELDS:
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{PACKAGE}.{kind}"
            else:
                field.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
            repeated = written.startswith("*")
            label = "LABEL_REPEATED" if repeated else "LABEL_OPTIONAL"
            field.label = descriptor_pb2.FieldDescriptorProto.Label.Value(label)
            if written.startswith("|"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="value")
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Payload"))
