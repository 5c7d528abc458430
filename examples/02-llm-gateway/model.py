#!/usr/bin/env python3
"""Answers like a language model: OpenAI's chat completions and Anthropic's messages, whole and
as events, in the shapes that the providers document. It knows one sentence, which the model
`storyteller` says a hundred times, and counts words for tokens. Python's standard library only.

    model.py PORT
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SENTENCE = "A token is a piece of a word, and each has its price.".split(" ")


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = json.loads(body)
        shapes = {"/v1/chat/completions": OpenAi, "/v1/messages": Anthropic}
        shape = shapes.get(self.path)
        if shape is None:
            return self.whole(404, {"error": {"message": "no such path"}})
        limits = [asked[name] for name in ("max_tokens", "max_completion_tokens") if asked.get(name)]
        words = SENTENCE * (100 if asked["model"] == "storyteller" else 1)
        words = words[: min(limits, default=len(words))]
        read = sum(len(str(message["content"]).split()) for message in asked["messages"])
        answer = shape(asked, words, read)
        if not asked.get("stream"):
            return self.whole(200, answer.document())
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for event in answer.events():
                event = event.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
                time.sleep(0.02)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True  # The gateway has ended it.

    def whole(self, status, document):
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class OpenAi:
    def __init__(self, asked, words, read):
        self.asked, self.words = asked, words
        written = len(words)
        self.usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        self.head = {"id": "chatcmpl-1", "created": 1764000000, "model": asked["model"]}

    def document(self):
        message = {"role": "assistant", "content": " ".join(self.words)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": self.usage}

    def events(self):
        tells = (self.asked.get("stream_options") or {}).get("include_usage")

        def event(choices, usage=None):
            chunk = {**self.head, "object": "chat.completion.chunk", "choices": choices}
            if tells:
                chunk["usage"] = usage
            return f"data: {json.dumps(chunk)}\n\n"

        for word in self.words:
            yield event([{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}])
        yield event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
        if tells:
            yield event([], self.usage)
        yield "data: [DONE]\n\n"


class Anthropic:
    def __init__(self, asked, words, read):
        self.words, self.usage = words, {"input_tokens": read, "output_tokens": len(words)}
        self.head = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"]}

    def document(self):
        content = [{"type": "text", "text": " ".join(self.words)}]
        return {**self.head, "content": content, "stop_reason": "end_turn", "usage": self.usage}

    def events(self):
        def event(kind, **data):
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"

        usage = {**self.usage, "output_tokens": 1}
        yield event("message_start", message={**self.head, "content": [], "usage": usage})
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for word in self.words:
            yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word + " "})
        yield event("content_block_stop", index=0)
        told = {"output_tokens": self.usage["output_tokens"]}
        yield event("message_delta", delta={"stop_reason": "end_turn"}, usage=told)
        yield event("message_stop")


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Model).serve_forever()
