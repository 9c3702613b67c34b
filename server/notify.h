/* Tells the service manager how far this process is (the NOTIFY_SOCKET datagrams of sd_notify(3)),
 * so that what depends on musterd starts when it serves. Does nothing where nobody asked.
 *
 * Thread: main. Owns: nothing. */
#ifndef MUSTER_SERVER_NOTIFY_H
#define MUSTER_SERVER_NOTIFY_H

/* `state` is such as "READY=1". A path that begins with @ is in the abstract namespace. Failures
 * are not reported: the service manager will notice by itself. */
void notify_send(const char *state);

#endif
