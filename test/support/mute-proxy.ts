import net from 'node:net';

/** A relay in front of a server that can go silent for the sessions of a name: nothing passes any more, and neither side hears of the other's end. */
export interface MuteProxy extends AsyncDisposable {
  readonly port: number;
  /** The connections of that name that are there now; those that come later pass. */
  mute(applicationName: string): number;
}

export async function startMuteProxy(server: { readonly host: string; readonly port: number }): Promise<MuteProxy> {
  const links = new Set<{ name: string; muted: boolean; client: net.Socket; backend: net.Socket }>();
  const listening = net.createServer((client) => {
    const backend = net.connect(server);
    const link = { name: '', muted: false, client, backend };
    links.add(link);
    const forward = (from: net.Socket, to: net.Socket): void => {
      from.on('error', () => undefined);
      from.on('data', (data: Buffer) => {
        if (from === client && link.name === '') link.name = /application_name\0([^\0]*)\0/.exec(data.toString('latin1'))?.[1] ?? '';
        if (!link.muted) to.write(data);
      });
      from.on('close', () => {
        if (!link.muted) to.destroy();
      });
    };
    forward(client, backend);
    forward(backend, client);
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return {
    port: (listening.address() as net.AddressInfo).port,
    mute: (name) => {
      const of = [...links].filter((link) => link.name === name && !link.client.destroyed);
      for (const link of of) link.muted = true;
      return of.length;
    },
    [Symbol.asyncDispose]: async () => {
      for (const { client, backend } of links) for (const socket of [client, backend]) socket.destroy();
      await new Promise((resolve) => listening.close(resolve));
    },
  };
}
