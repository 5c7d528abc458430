# Judges messages with the package of Standard Webhooks for Python, which is on PYTHONPATH.
# Input: [{secret, headers, body}]; output: [true | false].
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError


def verdict(case):
    try:
        Webhook(case["secret"]).verify(case["body"].encode(), case["headers"])
        return True
    except WebhookVerificationError:
        return False


json.dump([verdict(case) for case in json.loads(sys.stdin.buffer.read())], sys.stdout)
