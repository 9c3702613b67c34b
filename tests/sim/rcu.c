/* liburcu without helper threads: there is only one thread, which never waits inside a read-side
 * critical section, so every grace period ends at once. Freeing at once also lets AddressSanitizer
 * detect late uses. The linker substitutes these (--wrap). */
#include <urcu.h>

void __wrap_urcu_memb_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
void __wrap_urcu_memb_synchronize_rcu(void);
void __wrap_urcu_memb_barrier(void);
void __wrap_urcu_memb_register_thread(void);
void __wrap_urcu_memb_unregister_thread(void);
void __real_urcu_memb_register_thread(void);

void __wrap_urcu_memb_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
    func(head);
}

void __wrap_urcu_memb_synchronize_rcu(void)
{
}

void __wrap_urcu_memb_barrier(void)
{
}

/* Every member registers the thread that it takes for its own. */
void __wrap_urcu_memb_register_thread(void)
{
    static bool registered;
    if (!registered) {
        registered = true;
        __real_urcu_memb_register_thread();
    }
}

void __wrap_urcu_memb_unregister_thread(void)
{
}
