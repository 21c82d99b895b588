/**
 * xenstored: sleeps until clients have sent events, serves what they have asked, sends answers and events, notifies those
 * whose rings it has moved on, each once.
 *
 * An event makes it look at that client alone; what a request means to others (watches) is sent to them at once.
 *
 * @source tools/xenstored/core.c (main), domain.c
 */
import { GNTTAB, HVM_PARAM, HypercallError, layoutOf, XEN_DOMINF } from '../../abi';
import type { Vcpu } from '../../guest/vcpu';
import { CLIENT_OFFSET, XENSTORE_CLIENT } from '../../guest/xenstore-client';
import { SERVER_FEATURES } from '../../guest/xenstore-page';
import { PollPorts } from '../poll-ports';
import { configOf, type ServedDomain, type Service, type ServiceConfig, type ServicesArgs } from '../service';
import { Client } from './client';
import { Connection } from './connection';
import { SUPPORTED_FEATURES } from './features';
import { initialNodes } from './initial-nodes';
import { journalAddress, readJournal } from './journal';
import { Nodes, type StoreNode } from './nodes';
import { type QuotaName, Quotas } from './quotas';
import { answerTo, serve } from './requests';
import { Store } from './store';
import type { Toolstack } from './toolstack';

const FRAME_BYTES = 4096;

/** What a scenario may say of its store. */
export interface XenstoreOptions {
  /** What each unprivileged domain may use, instead of the defaults. */
  readonly quota?: Readonly<Partial<Record<QuotaName, number>>>;
}

export const xenstored: Service = {
  name: 'xenstore',
  startInfo: { mfn: 'store_mfn', evtchn: 'store_evtchn' },
  hvmParams: { pfn: HVM_PARAM.HVM_PARAM_STORE_PFN, evtchn: HVM_PARAM.HVM_PARAM_STORE_EVTCHN },
  grantRef: GNTTAB.GNTTAB_RESERVED_XENSTORE,
  ranges: (address) => [
    { name: 'xenstore', address, layout: layoutOf('x86_64', 'xenstore_domain_interface') },
    { name: 'xenstore_client', address: address + CLIENT_OFFSET, layout: XENSTORE_CLIENT },
  ],
  prepare: (memory, page) => memory.write32(page + SERVER_FEATURES, SUPPORTED_FEATURES),
  guest: (vcpu) => new Xenstored(vcpu).serve(),
};

/** Nodes at start of day, by configuration: neither ever changes. */
const initial = new WeakMap<readonly ServedDomain[], ReadonlyMap<string, StoreNode>>();

function initialNodesOf({ domains }: ServiceConfig): ReadonlyMap<string, StoreNode> {
  let nodes = initial.get(domains);
  if (nodes === undefined) {
    nodes = initialNodes(domains);
    initial.set(domains, nodes);
  }
  return nodes;
}

class Xenstored implements Toolstack {
  private readonly store: Store;
  private readonly connections = new Map<number, Connection>();
  private readonly byPort = new Map<number, Connection>();
  private readonly ports = new Set<number>();
  /** Domains found shut down, of which the watches have been told. */
  private readonly down = new Set<number>();
  private readonly config: ServiceConfig<XenstoreOptions>;

  constructor(private readonly vcpu: Vcpu) {
    this.config = configOf<XenstoreOptions>(vcpu);
    this.store = new Store(new Nodes(initialNodesOf(this.config)), new Quotas(this.config.options.quota ?? {}));
    for (const { id, pageAddress, port } of this.config.domains) this.connect(id, pageAddress, port);
    if (this.config.domExcPort !== 0) this.ports.add(this.config.domExcPort);
    this.followJournal();
  }

  /** What the scenario's set-up has done to its own store. */
  private followJournal(): void {
    const { frames } = this.vcpu.domain.args as ServicesArgs;
    const tools = new Client(0, true);
    for (const request of readJournal(this.vcpu.memory, journalAddress(frames))) {
      answerTo(this.store, this, tools, request);
    }
  }

  serve(): never {
    const polled = new PollPorts(this.vcpu, this.ports);
    for (;;) {
      for (const port of polled.wait()) {
        const connection = this.byPort.get(port);
        if (connection !== undefined) this.attend(connection);
        else if (port === this.config.domExcPort) this.checkDomains();
      }
      this.sendAll();
    }
  }

  private attend(connection: Connection): void {
    const { client } = connection;
    const outstanding = this.store.limit(client, 'outstanding');
    for (;;) {
      connection.receive(outstanding, (request) => serve(this.store, this, client, request));
      const waiting = client.outstanding;
      connection.send();
      // Answers have left: requests that had to wait for that can be taken.
      if (waiting < outstanding || client.outstanding >= outstanding) return;
    }
  }

  /** A domain was shut down, or destroyed. Which one, the VIRQ does not say. */
  private checkDomains(): void {
    let found = false;
    for (const id of [...this.connections.keys()]) {
      const flags = this.vcpu.hypercall.domctl.getDomainInfo(id);
      if ((flags & XEN_DOMINF.XEN_DOMINF_dying) !== 0) {
        this.disconnect(id);
        this.store.forget(id);
        found = true;
      } else if ((flags & XEN_DOMINF.XEN_DOMINF_shutdown) !== 0 && !this.down.has(id)) {
        this.down.add(id);
        found = true;
      }
    }
    if (found) this.store.fireSpecial('@releaseDomain');
  }

  private sendAll(): void {
    for (const connection of this.connections.values()) {
      connection.send();
      if (connection.takeMoved()) this.notify(connection.port);
    }
  }

  /** A domain that is gone takes no events. */
  private notify(port: number): void {
    try {
      this.vcpu.hypercall.evtchn.send(port);
    } catch (error) {
      if (!(error instanceof HypercallError)) throw error;
    }
  }

  private connect(id: number, page: number, port: number): void {
    const privileged = this.config.domains.some((domain) => domain.id === id && domain.privileged);
    const client = this.store.clients.get(id) ?? new Client(id, privileged);
    const connection = new Connection(client, this.vcpu.foreignMemory(id), page, port);
    this.store.clients.set(id, client);
    this.connections.set(id, connection);
    this.byPort.set(port, connection);
    this.ports.add(port);
  }

  // Toolstack.

  introduce(id: number, frame: number, port: number): ReturnType<Toolstack['introduce']> {
    const { evtchn } = this.vcpu.hypercall;
    try {
      const memory = this.vcpu.foreignMemory(id);
      const page = frame * FRAME_BYTES;
      if (frame === 0 || !memory.contains(page, FRAME_BYTES)) return { error: 'EINVAL' };
      const own = evtchn.bindInterdomain(id, port);
      const isNew = !this.connections.has(id);
      this.down.delete(id);
      if (!isNew) this.closePort(id);
      this.mask(own);
      this.connect(id, page, own);
      (this.connections.get(id) as Connection).reconnect();
      return { isNew };
    } catch (error) {
      if (!(error instanceof HypercallError)) throw error;
      return { error: error.code === 'ESRCH' ? 'ENOENT' : 'EINVAL' };
    }
  }

  disconnect(id: number): void {
    this.closePort(id);
    this.connections.delete(id);
    this.down.delete(id);
  }

  resume(id: number): void {
    this.down.delete(id);
  }

  features(id: number): number {
    return this.connections.get(id)?.features ?? 0;
  }

  setFeatures(id: number, features: number): void {
    const connection = this.connections.get(id);
    if (connection !== undefined) connection.features = features;
  }

  print(text: string): void {
    this.vcpu.log(`xenstored: ${text}`);
  }

  private closePort(id: number): void {
    const port = this.connections.get(id)?.port;
    if (port === undefined) return;
    this.ports.delete(port);
    this.byPort.delete(port);
    this.vcpu.hypercall.evtchn.close(port);
  }

  /** Ports of this domain are polled. */
  private mask(port: number): void {
    this.vcpu.memory.or8(this.vcpu.sharedInfo.evtchn_mask.address + (port >> 3), 1 << (port & 7));
  }
}
