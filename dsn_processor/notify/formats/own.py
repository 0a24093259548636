"""Our own format: Standard Webhooks 1.0.0. ``data`` is described in docs/webhooks.md."""

from collections.abc import Mapping
from typing import Any

from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.notification import Notification
from dsn_processor.notify.people.wording import user_notification


def render(notification: Notification, words: Mapping[str, Any]) -> Rendered:
    """What to show to a user is there where somebody has chosen words for it."""
    data = notification.data
    if words.get("user_message") and (shown := user_notification(notification, words)):
        data = {**data, "user_notification": shown}
    return as_json({"type": notification.type, "timestamp": notification.at, "data": data})
