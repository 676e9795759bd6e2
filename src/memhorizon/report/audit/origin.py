"""Where an audit comes from: protocol, seed, versions, digests, the command."""

from memhorizon.records.audit import AuditRecord
from memhorizon.report.audit.sets import NAMES
from memhorizon.report.parts import facts_list, section, text_of


def origin(record: AuditRecord, *, private: bool) -> str:
    """A short list of facts, from which the audit can be done again."""
    lines = {
        "Protocol": f"version {record.protocol}",
        "Seed": str(record.seed),
        "Made with": text_of(_environment(record)),
        "Command": f"<code>{text_of(record.command)}</code>" if record.command else _no_command(private),
    }
    for one in record.sets:
        source = f"{text_of(one.source)}<br>" if one.source else ""
        lines[NAMES[one.name].capitalize()] = f"{source}<code>{text_of(one.digest)}</code>"
    again = (
        "The same protocol, seed and items give the same numbers; a digest is the SHA-256 of a set's values."
    )
    return section("Where it comes from", facts_list(lines), f"<p>{again}</p>")


def _environment(record: AuditRecord) -> str:
    facts = [f"{name} {value}" for name, value in record.environment.items()]
    return ", ".join(facts) or "not recorded"


def _no_command(private: bool) -> str:
    return "not shown" if private else "not recorded"
