import net from 'node:net';

/** A port on which somebody listens who says nothing. */
export async function takePort(): Promise<{ readonly port: number; readonly free: () => Promise<unknown> }> {
  const listening = net.createServer();
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return {
    port: (listening.address() as net.AddressInfo).port,
    free: () => new Promise((resolve) => listening.close(resolve)),
  };
}

/** A port on which nobody listens, most likely for a while. */
export async function freePort(): Promise<number> {
  const { port, free } = await takePort();
  await free();
  return port;
}
