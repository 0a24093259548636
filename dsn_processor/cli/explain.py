"""Why a verdict is what it is: every piece of evidence, which rule won and which lost."""

import argparse
from typing import TYPE_CHECKING, Any

from dsn_processor.cli.options import add_rules_option, chosen_rules
from dsn_processor.errors import UsageError

if TYPE_CHECKING:
    from dsn_processor.facts import InboundMessage, Reading, RecipientReport, Verdict

_COLUMNS = ("", "step", "rule", "answer", "sure", "because")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this module's commands."""
    command = commands.add_parser(
        "explain",
        help="show every piece of evidence, which rule won and which lost",
        description="Explains the verdicts on mails, or on one SMTP reply. Nothing is stored.",
        epilog="example: dsn-processor explain --reply '550 5.7.1 blocked using zen.spamhaus.org' --remote-mta mx.example.net",
    )
    command.add_argument("paths", nargs="*", metavar="PATH", help="mails, as for parse")
    command.add_argument("--reply", metavar="TEXT", help="an SMTP reply in place of a mail")
    command.add_argument("--remote-mta", metavar="HOST", help="with --reply: the host that gave it")
    add_rules_option(command)
    command.add_argument("--mappings", action="store_true", help="add what other systems call each answer")
    command.add_argument("--json", action="store_true", help="print JSON lines")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if bool(args.paths) == (args.reply is not None):
        raise UsageError("explain what? Name mails, or give one reply: --reply '550 5.1.1 User unknown'")
    if args.remote_mta and args.reply is None:
        raise UsageError("--remote-mta goes with --reply: mails name their hosts themselves")
    return _explain_reply(args) if args.reply is not None else _explain_mails(args)


def _explain_reply(args: argparse.Namespace) -> int:
    from dsn_processor.contract import describe_mappings
    from dsn_processor.reading import read_reply
    from dsn_processor.terms import Action

    recipient, verdict = read_reply(args.reply, args.remote_mta, chosen_rules(args.rules))
    if args.json:
        described = describe_candidates(recipient, verdict)
        if args.mappings:
            described["mappings"] = describe_mappings(Action.FAILED, verdict)
        _print_json(described)
    else:
        _print_verdict(recipient, verdict, mappings=args.mappings)
    return 0


def _explain_mails(args: argparse.Namespace) -> int:
    from dsn_processor.cli.complaints import complain
    from dsn_processor.cli.render import print_text
    from dsn_processor.contract import describe_mail
    from dsn_processor.facts import InboundMessage
    from dsn_processor.intake.items import Skipped
    from dsn_processor.intake.walk import Walk
    from dsn_processor.reading import read

    rules = chosen_rules(args.rules)
    failed = False
    mails = 0
    for item in Walk(args.paths):
        if isinstance(item, Skipped):
            failed = failed or item.failed
            complain(f"{item.source} {item.why}")
        elif isinstance(item, InboundMessage):
            mails += 1
            reading = read(item.raw, item.envelope, rules, trace=True)
            if args.json:
                described = describe_mail(item, reading, mappings=args.mappings)
                for shown, recipient, verdict in zip(
                    described["recipients"], reading.parsed.recipients, reading.verdicts, strict=True
                ):
                    shown["candidates"] = (
                        describe_candidates(recipient, verdict)["candidates"] if verdict else []
                    )
                _print_json(described)
                continue
            if mails > 1:
                print_text("")
            _print_mail(item, reading, mappings=args.mappings)
    if not mails and not failed:
        complain("no mail is there: a file that you name is taken as mail whatever it is called")
    return 1 if failed else 0


def describe_candidates(recipient: "RecipientReport", verdict: "Verdict") -> dict[str, Any]:
    """A recipient as ``parse`` prints it, and under ``candidates`` every answer considered, the winner first."""
    from dsn_processor.contract import describe_recipient

    return {
        **describe_recipient(recipient, verdict),
        "candidates": [
            {
                "step": one.step,
                "rule_id": one.rule_id,
                "reason": one.reason,
                "bounce_type": one.bounce_type,
                "scope": one.scope,
                "confidence": one.confidence,
                "evidence": {"source": one.evidence.source, "text": one.evidence.text},
            }
            for one in verdict.candidates
        ],
    }


def _print_mail(message: "InboundMessage", reading: "Reading", *, mappings: bool) -> None:
    from dsn_processor.cli.render import print_text

    parsed = reading.parsed
    print_text(f"{message.source}: {parsed.kind}")
    for label, value in (
        ("from", parsed.from_),
        ("subject", parsed.subject),
        ("reporting MTA", parsed.reporting_mta),
    ):
        if value:
            print_text(f"  {label}: {value}")
    for defect in parsed.defects:
        print_text(f"  defect: {defect.code} {defect.detail}")
    for recipient, verdict in zip(parsed.recipients, reading.verdicts, strict=True):
        print_text("")
        if verdict is None:
            print_text(f"{recipient.address}: {recipient.action or parsed.kind}, nothing to judge")
        else:
            _print_verdict(recipient, verdict, mappings=mappings)


def _print_verdict(recipient: "RecipientReport", verdict: "Verdict", *, mappings: bool) -> None:
    from dsn_processor.cli.describe import blocked_by
    from dsn_processor.cli.render import print_stacked, print_text

    who = f"{recipient.address}: " if recipient.address else ""
    print_text(
        f"{who}{verdict.bounce_type}, {verdict.reason}; scope {verdict.scope}, confidence {verdict.confidence:.2f}"
    )
    stated = {
        "found by": recipient.origin if recipient.address else None,
        "original": recipient.original,
        "action": recipient.action if recipient.address else None,
        "status": recipient.status,
        "reply code": recipient.reply_code,
        "command": recipient.smtp_command,
        "remote MTA": recipient.remote_mta,
        "diagnostic": recipient.diagnostic_code,
    }
    for label, value in stated.items():
        if value:
            print_text(f"  {label}: {value}")
    if verdict.block is not None:
        print_text(f"  blocked by: {blocked_by(verdict.block)}")
    if mappings:
        for system, name in _elsewhere(recipient, verdict).items():
            print_text(f"  {system} calls it: {name}")
    print_text("")
    print_stacked(
        _COLUMNS,
        [
            (
                "won" if number == 0 else "lost",
                one.step,
                one.rule_id,
                f"{one.bounce_type}, {one.reason}",
                f"{one.confidence:.2f}",
                f"{one.evidence.source}: {one.evidence.text}",
            )
            for number, one in enumerate(verdict.candidates)
        ],
    )


def _elsewhere(recipient: "RecipientReport", verdict: "Verdict") -> dict[str, str]:
    """What other systems call the answer."""
    from dsn_processor.contract import describe_mappings
    from dsn_processor.terms import Action

    names = describe_mappings(recipient.action or Action.FAILED, verdict)
    ses, postmark, sparkpost = names["ses"], names["postmark"], names["sparkpost"]
    told = {
        "SES": "/".join(filter(None, ses.values())),
        "Postmark": f"{postmark['name']} ({postmark['code']})",
        "SparkPost": f"{sparkpost['code']} ({sparkpost['name']})",
        "PowerMTA": names["powermta"],
        "KumoMTA": names["kumomta"],
        "Sisimai": names["sisimai"],
        "one with two types only": names["two_type"],
    }
    return {system: name for system, name in told.items() if name}


def _print_json(value: dict[str, Any]) -> None:
    from dsn_processor.cli.output import JsonLines

    out = JsonLines()
    out.write(value)
    out.flush()
