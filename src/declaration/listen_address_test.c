/* Tests of listen_address.c: what may be listened on, and what is refused. */
#include "declaration/listen_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void addresses_are_read(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
        bool is_v6, is_loopback;
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080, false, true},
        {"127.9.8.7:0", "127.9.8.7", 0, false, true},
        {"localhost:65535", "127.0.0.1", 65535, false, true},
        {"LocalHost:1", "127.0.0.1", 1, false, true},
        {"0.0.0.0:80", "0.0.0.0", 80, false, false},
        {"128.0.0.1:80", "128.0.0.1", 80, false, false},
        {"[::1]:80", "::1", 80, true, true},
        {"[::]:80", "::", 80, true, false},
        {"[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, true, true},
        {"[fe80::1]:80", "fe80::1", 80, true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        listen_address found;
        assert_null(listen_address_read(cases[i].text, &found));
        assert_string_equal(found.host, cases[i].host);
        assert_int_equal(found.port, cases[i].port);
        assert_int_equal(found.is_v6, cases[i].is_v6);
        assert_int_equal(found.is_loopback, cases[i].is_loopback);
    }
}

static void others_are_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "HOST:PORT"},
        {"8080", "HOST:PORT"},
        {":8080", "the host"},
        {"::1:80", "the host"},
        {"[]:80", "the host"},
        {"[:80", "the host"},
        {"[127.0.0.1]:80", "the host"},
        {"example.com:80", "the host"},
        {"127.0.0.1 :80", "the host"},
        {"256.0.0.1:80", "the host"},
        {"1111111111111111111111111111111111111111111111:80", "the host"},
        {"127.0.0.1:", "the port"},
        {"127.0.0.1:65536", "the port"},
        {"127.0.0.1:000080", "the port"},
        {"127.0.0.1:-1", "the port"},
        {"127.0.0.1:80x", "the port"},
        {"127.0.0.1:http", "the port"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        listen_address found = {.port = 7};
        const char *why = listen_address_read(cases[i].text, &found);
        assert_non_null(why);
        if (strstr(why, cases[i].why) == NULL)
            fail_msg("\"%s\" is refused, since %s", cases[i].text, why);
        assert_int_equal(found.port, 7);
    }
}

static void hosts_of_this_machine_are_told(void **state)
{
    (void)state;
    assert_true(listen_host_is_loopback("localhost:80", 9));
    assert_true(listen_host_is_loopback("127.0.0.1", 9));
    assert_true(listen_host_is_loopback("::1", 3));
    assert_false(listen_host_is_loopback("localhost.example.com", 21));
    assert_false(listen_host_is_loopback("127.0.0.1.nip.io", 16));
    assert_false(listen_host_is_loopback("10.0.0.1", 8));
    assert_false(listen_host_is_loopback("", 0));
    assert_false(listen_host_is_loopback("localhost\0x", 11));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(hosts_of_this_machine_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
