"""Who may be contacted now. So far there are only staff channels, and nothing else gets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.stores.messages import MessageStatus, Verdict

if TYPE_CHECKING:
    from streams.stores.messages import Message

STAFF = "staff"


async def staff_only(message: Message) -> Verdict | None:
    """Let messages to staff pass; refuse all others, with the rule."""
    if message.audience == STAFF:
        return None
    return Verdict(MessageStatus.REFUSED, detail="rule staff_only: there is no setting that allows borrower channels")
