"""Arrow tables without columns in columns."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def sound(table: "pa.Table") -> "pa.Table":
    """A table whose offsets and lengths have been checked: those of a damaged file may point anywhere."""
    table.validate(full=True)
    return table


def flat(table: "pa.Table") -> "pa.Table":
    """A table whose structs are a column a field, `acc.x`, and whose lists of one length one an element, `state[0]`."""
    import pyarrow as pa
    from pyarrow import compute

    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        size = _list_size(field.type, column)
        if size:
            columns |= {f"{field.name}[{i}]": compute.list_element(column, i) for i in range(size)}
        else:
            columns[field.name] = column
    return pa.table(columns)


def _list_size(kind: "pa.DataType", column: "pa.ChunkedArray") -> int:
    """How many elements each list of a column has; 0 where it holds no lists, or not all of one length."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_fixed_size_list(kind):
        return kind.list_size
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return 0
    lengths = compute.unique(compute.list_value_length(column).drop_null())
    return lengths[0].as_py() if len(lengths) == 1 else 0
