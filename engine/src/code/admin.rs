//! PE070x: the admin server cannot be started. PE071x: it does not serve a request.

super::codes! {
    NO_PLACE_FOR_TOKEN = "PE0701", "HTTP needs a state directory" {
        cause: "Commands over HTTP need the token that is kept in the state directory, and without one there is nowhere to keep it. Without a state directory nothing is written, and no socket is opened.",
        example: "HTTP needs a state directory, in which the token for commands is kept; name one with --state, or do without --http [PE0701]",
        remedy: "Start the engine with a state directory (`--state DIR`), or without `--http`.",
    }
    SOCKET_PATH_TOO_LONG = "PE0702", "the path of the socket is too long" {
        cause: "The system takes addresses of Unix sockets of about a hundred bytes, and the path of the state directory with the name of the socket behind it is longer.",
        example: "the socket /srv/…/state/admin.sock has a path of 131 bytes, and the system takes at most 107; name a state directory with a shorter path, or a link to it [PE0702]",
        remedy: "Name the state directory by a shorter path, such as a link to it in `/run`, or by a path relative to where the engine is started.",
    }
    SOCKET_FAILED = "PE0703", "the socket cannot be opened" {
        cause: "Something that is no socket has its name, or the file system of the state directory takes no sockets, or none is free.",
        example: "cannot open the socket /var/lib/engine/admin.sock: there is something else of this name; move it away [PE0703]",
        remedy: "Move away what has its name, or name a state directory on a file system that takes sockets.",
    }
    TOKEN_UNTRUSTED = "PE0704", "the token is not kept as a secret" {
        cause: "The file with the token can be read or written by others than the user of the engine, belongs to somebody else, is no regular file, or holds no token. Whoever knows the token can command the engine, so such a one is not used.",
        example: "the token in /var/lib/engine/token is not used: others may read it (mode 0644); take that away (chmod 600), or remove the file to have a new one made [PE0704]",
        remedy: "Make the file the engine's own with mode 0600, or remove it: a new one is made at the next start.",
    }
    TOKEN_FAILED = "PE0705", "the token cannot be read or written" {
        cause: "The file with the token cannot be opened, read or written, or the system gives no random bytes for a new one.",
        example: "cannot write the token /var/lib/engine/token: No space left on device (os error 28) [PE0705]",
        remedy: "See to what the system complains about.",
    }
    HTTP_FAILED = "PE0706", "the address for HTTP cannot be had" {
        cause: "Another program listens on the address, it is none of this machine's, or its port is one that only root may have.",
        example: "cannot listen on 127.0.0.1:8080: Address already in use (os error 98); name another with --http [PE0706]",
        remedy: "Stop the program that has it, or name another address; with the port 0 a free one is taken.",
    }
    HTTP_HOST = "PE0707", "what should be the name of a host is none" {
        cause: "Requests are answered under names that were given. Such a name is one of a host, without a scheme, a port or a path.",
        example: "\"http://engine.example/\" is no name of a host; write the name alone, as in engine.example [PE0707]",
        remedy: "Write the name alone, as it stands in the address between `//` and the port.",
    }
    TOKEN_REFUSED = "PE0711", "a request has no token, or a wrong one" {
        cause: "Over HTTP whatever changes something needs the token of the engine, and on an address that is not loopback everything but the status page itself does.",
        example: "this needs the token: send \"Authorization: Bearer\" with what is in /var/lib/engine/token [PE0711]",
        remedy: "Send the header `Authorization: Bearer TOKEN`, with what the file `token` in the state directory holds; or ask over the socket.",
    }
    HOST_REFUSED = "PE0712", "a request is for another host" {
        cause: "The `Host` of a request is neither the address of the server, nor localhost, nor a name that was given: as when a page of somebody else's had its own name lead to this address.",
        example: "the host \"evil.example\" is none of this server's; give its name with --http-host if it is [PE0712]",
        remedy: "Ask by the address, or give the name with `--http-host`.",
    }
    ORIGIN_REFUSED = "PE0713", "a request comes from the page of another host" {
        cause: "A browser says that a page of another origin has made the request.",
        example: "requests from pages of \"https://evil.example\" are not served [PE0713]",
        remedy: "Ask from the engine's own page, or from a program.",
    }
    BODY_TOO_LARGE = "PE0714", "the body of a request is too long" {
        cause: "Requests are at most 64 KiB long; commands need no body at all.",
        example: "the body is longer than 65536 bytes, which is the most that is read [PE0714]",
        remedy: "Send less than the limit that the message names.",
    }
    BAD_QUERY = "PE0715", "a request asks for something that there is not" {
        cause: "A key of the query is unknown here, or its value is none for it.",
        example: "there is no \"colour\" to be asked for here; there are pattern, follow [PE0715]",
        remedy: "See what the message names; `/openapi.json` describes all requests.",
    }
    ADMIN_BUSY = "PE0716", "too much is being done for others" {
        cause: "Commands and displays wait for plugins, so only so many are carried out at the same time.",
        example: "16 commands are under way, which is the most at a time; try again [PE0716]",
        remedy: "Try again; `plugin-engine status` says which plugins do not return.",
    }
}
