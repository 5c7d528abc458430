// Judges messages with the package of Standard Webhooks for Node.
// Argument: the folder that has node_modules. Input: [{secret, headers, body}]; output: [true | false].
const path = require("node:path");
const fs = require("node:fs");
const { Webhook, WebhookVerificationError } = require(
  path.join(process.argv[2], "node_modules", "standardwebhooks"),
);

const verdicts = JSON.parse(fs.readFileSync(0, "utf8")).map(({ secret, headers, body }) => {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
});
process.stdout.write(JSON.stringify(verdicts));
