/* http_block.c - the table of `http`, where a run answers by HTTP; see blocks.h. */
#include <string.h>

#include "declaration/blocks.h"
#include "declaration/listen_address.h"

#define TOKEN_BYTES_MAX 512

static const option tls_options[] = {
    {OPTION("cert", TEXT, http_tls_block, cert), .required = true,
     .doc = "The file of the certificate, and of those that vouch for it, in PEM.",
     .example = "tls/server.pem"},
    {OPTION("key", TEXT, http_tls_block, key), .required = true,
     .doc = "The file of its private key, in PEM.", .example = "tls/server.key"},
    {0},
};

static const block_kind http_tls_kind = {
    BLOCK_KIND("tls", "TLS of HTTP", http_tls_block, tls_options),
    .doc = "With it the server speaks HTTPS only (TLS 1.2 or 1.3). The files are read when the run "
           "starts.",
};

static const option http_options[] = {
    {OPTION("listen", TEXT, http_block, listen), .standard = "127.0.0.1:8080",
     .doc = "The address and the port. Without a `token` an address of this machine alone: "
            "127.0.0.1, [::1] or localhost. 0.0.0.0 and [::] are all addresses; port 0 is a free "
            "one, which the log tells.",
     .example = "0.0.0.0:8080"},
    {OPTION("token", TEXT, http_block, token), .secret = true,
     .doc = "Who asks must know it (`Authorization: Bearer TOKEN`). `/live` and `/ready` answer "
            "without it, but give no reason then.",
     .example = "${file:/run/secrets/freshet_token}"},
    {OPTION_GIVEN("tls", http_block, tls), .block = &http_tls_kind,
     .doc = "The files for HTTPS; by default it is plain HTTP."},
    {0},
};

bool http_token_is_good(const char *token)
{
    const size_t length = strlen(token);
    for (size_t i = 0; i < length; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return false;
    return length > 0 && length <= TOKEN_BYTES_MAX;
}

static void check_http(void *checked, const place *at, problems *problems)
{
    const http_block *block = checked;
    listen_address address;
    (void)at;
    if (block->listen.value == NULL)
        return;
    const char *wrong = listen_address_read(block->listen.value, &address);
    if (wrong != NULL)
        problem_add(problems, &block->listen.at, "\"listen\" cannot be \"%.80s\": %s",
                    block->listen.value, wrong);
    else if (!address.is_loopback && block->token.value == NULL)
        problem_add(problems, &block->listen.at,
                    "\"listen\" is %.80s, where other machines can ask, too: write a `token` "
                    "beside it, as in token: \"${FRESHET_HTTP_TOKEN}\", or listen on "
                    "127.0.0.1:%u only",
                    block->listen.value, address.port);
    if (block->token.value != NULL && !http_token_is_good(block->token.value))
        problem_add(problems, &block->token.at,
                    "\"token\" must be 1 to %d letters, digits and signs of ASCII without spaces",
                    TOKEN_BYTES_MAX);
}

const block_kind http_kind = {
    BLOCK_KIND("http", "HTTP", http_block, http_options),
    .doc = "Where the run answers by HTTP, while it runs: `/live`, `/ready`, `/status` and "
           "`/metrics`. Without this block, and without `freshet run --http`, it does not. See "
           "docs/guide/http.md.",
    .check = check_http,
    .may_be_scalar = true,
};
