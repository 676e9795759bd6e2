"""Write docs/record.schema.json, the schema of files of records, from the types.

python dev/record_schema.py
"""

from pathlib import Path

from memhorizon.records.schema import schema_text

if __name__ == "__main__":
    target = Path(__file__).parents[1] / "docs" / "record.schema.json"
    target.write_text(schema_text(), encoding="utf-8")
    print(target)
