/* Tests of notify.c: a socket of the test's own listens. */
#define _GNU_SOURCE
#include "operate/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int listen_at(const struct sockaddr_un *address, socklen_t length)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)address, length), 0);
    return fd;
}

static void set_or_unset(const char *name, const char *value)
{
    assert_int_equal(value == NULL ? unsetenv(name) : setenv(name, value, 1), 0);
}

static freshet_code open_with(const char *socket, const char *watchdog, const char *process,
                              notify *out, freshet_error *err)
{
    set_or_unset("NOTIFY_SOCKET", socket);
    set_or_unset("WATCHDOG_USEC", watchdog);
    set_or_unset("WATCHDOG_PID", process);
    return notify_open(out, err);
}

static void assert_received(int fd, const char *wanted)
{
    char text[2 * NOTIFY_TEXT_MAX];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_string_equal(text, wanted);
}

static void goes_to_a_path_and_to_an_abstract_name(void **state)
{
    (void)state;
    notify notify;
    char name[108];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(name, sizeof name, "/tmp/freshet-notify-%ld", (long)getpid());
    memcpy(address.sun_path, name, strlen(name));
    int fd = listen_at(&address, sizeof address);
    assert_int_equal(open_with(name, "5000000", NULL, &notify, NULL), FRESHET_OK);
    assert_int_equal(notify.watchdog_us, 5000000);
    assert_true(notify_send(&notify, "READY=%d\nSTATUS=%s", 1, "well"));
    assert_received(fd, "READY=1\nSTATUS=well");
    notify_close(&notify);
    close(fd);
    unlink(name);

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(name, sizeof name, "@freshet-notify-%ld", (long)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    fd = listen_at(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)));
    assert_int_equal(open_with(name, NULL, NULL, &notify, NULL), FRESHET_OK);
    assert_true(notify_send(&notify, "WATCHDOG=1"));
    assert_received(fd, "WATCHDOG=1");
    close(fd);
    assert_false(notify_send(&notify, "WATCHDOG=1")); /* nobody is there any more */
    notify_close(&notify);
}

static void nobody_listens(void **state)
{
    (void)state;
    notify notify;
    assert_int_equal(open_with(NULL, "1000", NULL, &notify, NULL), FRESHET_OK);
    assert_int_equal(notify.fd, -1);
    assert_int_equal(notify.watchdog_us, 0);
    assert_true(notify_send(&notify, "READY=1"));
    notify_close(&notify);
}

static void the_watchdog_may_be_anothers(void **state)
{
    (void)state;
    notify notify;
    char own[32];
    snprintf(own, sizeof own, "%ld", (long)getpid());
    assert_int_equal(open_with("@nobody", "1000", "1", &notify, NULL), FRESHET_OK);
    assert_int_equal(notify.watchdog_us, 0);
    notify_close(&notify);
    assert_int_equal(open_with("@nobody", "1000", own, &notify, NULL), FRESHET_OK);
    assert_int_equal(notify.watchdog_us, 1000);
    notify_close(&notify);
}

static void wrong_variables_are_told(void **state)
{
    (void)state;
    notify notify;
    char name[110];
    freshet_error err;
    const char *wrong[] = {"relative", "@", "vsock:2:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(open_with(wrong[i], NULL, NULL, &notify, &err), FRESHET_USAGE);
        assert_non_null(strstr(err.text, wrong[i]));
        assert_int_equal(notify.fd, -1);
    }
    memset(name, 'x', sizeof name);
    name[0] = '/';
    name[108] = '\0';
    assert_int_equal(open_with(name, NULL, NULL, &notify, &err), FRESHET_USAGE);
    name[107] = '\0';
    assert_int_equal(open_with(name, NULL, NULL, &notify, &err), FRESHET_OK);
    notify_close(&notify);
    assert_int_equal(open_with("@nobody", "soon", NULL, &notify, &err), FRESHET_USAGE);
    assert_non_null(strstr(err.text, "\"soon\""));
    assert_true(notify.fd >= 0); /* the rest is told */
    assert_int_equal(notify.watchdog_us, 0);
    notify_close(&notify);
}

static void a_long_text_is_cut(void **state)
{
    (void)state;
    notify notify;
    char name[64], text[3 * NOTIFY_TEXT_MAX], said[3 * NOTIFY_TEXT_MAX];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(name, sizeof name, "@freshet-long-%ld", (long)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    int fd =
        listen_at(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)));
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(open_with(name, NULL, NULL, &notify, NULL), FRESHET_OK);
    assert_true(notify_send(&notify, "STATUS=%s", text));
    assert_int_equal(recv(fd, said, sizeof said, MSG_DONTWAIT), NOTIFY_TEXT_MAX - 1);
    notify_close(&notify);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_to_a_path_and_to_an_abstract_name),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(the_watchdog_may_be_anothers),
        cmocka_unit_test(wrong_variables_are_told),
        cmocka_unit_test(a_long_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
