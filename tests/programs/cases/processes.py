#!/usr/bin/python3
# Processes that share memory, locks, queues and managers, by each of Python's three ways to start one.
# room: -m 1G
import array
import concurrent.futures
import multiprocessing as mp
import multiprocessing.shared_memory as shm
import sys


def add(name, lock, times):
    block = shm.SharedMemory(name)
    cells = block.buf.cast("q")
    for _ in range(times):
        with lock:
            cells[0] += 1
    cells.release()
    block.close()


def square(n):
    return n * n


def echo(queue, pipe):
    for item in iter(queue.get, None):
        pipe.send(item * 2)
    pipe.close()


def shared(way):
    context = mp.get_context(way)
    block = shm.SharedMemory(create=True, size=1 << 20)
    block.buf[:8] = bytes(8)
    lock = context.Lock()
    crew = [context.Process(target=add, args=(block.name, lock, 300)) for _ in range(3)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    print(way, "counted", array.array("q", bytes(block.buf[:8]))[0])
    block.close()
    block.unlink()


def queues(way):
    context = mp.get_context(way)
    queue, (here, there) = context.Queue(), context.Pipe()
    one = context.Process(target=echo, args=(queue, there))
    one.start()
    there.close()
    for n in range(100):
        queue.put(n)
    queue.put(None)
    print(way, "echoed", sum(here.recv() for _ in range(100)))
    one.join()


if __name__ == "__main__":
    for name in ("fork", "spawn", "forkserver"):
        shared(name)
        queues(name)
    with mp.Pool(3) as pool:
        print("pool", sum(pool.imap_unordered(square, range(1000), 10)))
    with mp.Manager() as manager:
        book = manager.dict()
        one = mp.Process(target=book.update, args=({"a": 1},))
        one.start()
        one.join()
        print("manager", dict(book))
    value, barrier = mp.Value("i", 5), mp.Barrier(2)
    other = mp.Process(target=barrier.wait)
    other.start()
    barrier.wait(30)
    other.join()
    print("value", value.value, "barrier", barrier.n_waiting)
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print("executor", list(pool.map(square, range(5))))
    sys.exit(0)
