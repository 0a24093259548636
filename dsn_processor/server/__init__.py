"""`dsn-processor serve`: one process owns the store, others read the mails.

    listeners  --take-->  Writer (a thread: the one that writes)  --offer-->  Processing (threads, each with a process)
                             ^-------------------- finish ------------------------|

Everything that touches the database happens in the writer's thread, a turn at a time: one turn is one transaction.
"""
