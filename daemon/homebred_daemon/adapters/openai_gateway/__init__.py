"""The OpenAI-compatible face of the daemon, over HTTP/1.1 on loopback or a Unix socket; off unless it is enabled.

    server            listens, bounds connections, ends in good order
    http_connection   one connection: requests within bounds, answers to whoever reads them (the only module with h11)
    gatekeeper        who may come in: Host, Origin, token
    endpoints         what a path leads to
    labels            what `homebred` in a body, and X-Homebred-… in the head, say of a task
    parameters        OpenAI's parameters that every endpoint shares, and those that are refused
    chat_request, completion_request   what each endpoint's body holds, as a task document
    tasks             head and body as a task to be answered
    listening         an answer's events to its caller: streamed, or whole
    answer_forms      what an answer looks like on the wire
    failures          errors as OpenAI's clients know them

It decides nothing: tasks go through the same Answerer as gRPC's.
"""
