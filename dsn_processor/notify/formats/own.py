"""Our own format: Standard Webhooks 1.0.0. ``data`` is described in docs/webhooks.md."""

from dsn_processor.notify.formats.rendered import Rendered, as_json
from dsn_processor.notify.notification import Notification


def render(notification: Notification) -> Rendered:
    return as_json(
        {
            "type": notification.type,
            "timestamp": notification.at.isoformat(),
            "data": notification.data,
        }
    )
