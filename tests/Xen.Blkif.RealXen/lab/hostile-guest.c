/*
 * usage: hostile-guest SECONDS
 * A frontend of /dev/xvda that means harm, in a guest's userspace: it connects as a driver does, then rings its event channel and rewrites
 * its nodes in xenstore as fast as it can, with values that are right, wrong and no values at all. Says how often it did both.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
#include <xen/io/blkif.h>

static const char *const folder = "device/vbd/51712";

static void put(struct xs_handle *store, const char *name, const char *value)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    xs_write(store, XBT_NULL, path, value, strlen(value));
}

static void put_number(struct xs_handle *store, const char *name, unsigned number)
{
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    put(store, name, text);
}

int main(int argc, char **argv)
{
    static const char *const states[] = { "3", "4", "5", "6", "1", "3", "4", "99", "", "abc", "0", "-1" };
    static const char *const protocols[] = { "x86_64-abi", "x86_32-abi", "vax-abi", "" };
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
    xengntshr_handle *shares = xengntshr_open(NULL, 0);
    xenevtchn_handle *events = xenevtchn_open(NULL, 0);
    struct xs_handle *store = xs_open(0);
    if (!shares || !events || !store)
        return puts("HOSTILE cannot open Xen's devices"), 1;

    uint32_t reference;
    blkif_sring_t *ring = xengntshr_share_pages(shares, 0, 1, &reference, 1);
    int port = xenevtchn_bind_unbound_port(events, 0);
    if (!ring || port < 0)
        return puts("HOSTILE cannot share a page"), 1;
    SHARED_RING_INIT(ring);
    put_number(store, "ring-ref", reference);
    put_number(store, "event-channel", (unsigned)port);
    put(store, "protocol", "x86_64-abi");
    put(store, "state", "3");

    unsigned long notified = 0, written = 0;
    for (unsigned round = 0; time(NULL) < end; round++) {
        for (int i = 0; i < 2000; i++)
            notified += xenevtchn_notify(events, (evtchn_port_t)port) == 0;

        /* A ring that has a request, then one with an impossible number of them, and the right keys again from time to time. */
        ring->req_prod = round % 7 == 0 ? ring->rsp_prod + 1000 : ring->rsp_prod + round % 3;
        put(store, "state", states[round % (sizeof states / sizeof *states)]);
        put_number(store, "ring-ref", round % 4 ? reference : (unsigned)rand());
        put_number(store, "event-channel", round % 5 ? (unsigned)port : (unsigned)rand());
        put(store, "protocol", protocols[round % 8 < 5 ? 0 : round % 4]);
        put(store, "ring-page-order", round % 6 ? "0" : "4000000000");
        put(store, "state", round % 2 ? "4" : "1");
        written += 6;
    }

    printf("HOSTILE %lu events, %lu writes\n", notified, written);
    return 0;
}
