/**
 * xenconsoled: moves bytes between the consoles of the domains and the host. Sleeps until a domain has written or made room,
 * or somebody has typed.
 *
 * One console per turn and a ring full at most: a domain that writes without end, or sends without end, slows itself down and
 * holds the others up by that much. One whose ring is corrupt is cut off, and the log says so.
 *
 * @source tools/console/daemon/main.c, io.c
 */
import { GNTTAB, HVM_PARAM, HypercallError, layoutOf, XENCONSOLE } from '../../abi';
import { ByteRing } from '../../guest/byte-ring';
import { ConsolePage } from '../../guest/console-page';
import { PollPorts } from '../poll-ports';
import { configOf, type ServedDomain, type Service, type ServiceVcpu } from '../service';
import { type ConsoleServiceOptions, hostRings, hostRingsBytes } from './host-rings';
import { ServedConsole } from './served-console';

export const xenconsoled: Service<ConsoleServiceOptions> = {
  name: 'console',
  startInfo: { mfn: 'console.domU.mfn', evtchn: 'console.domU.evtchn' },
  hvmParams: { pfn: HVM_PARAM.HVM_PARAM_CONSOLE_PFN, evtchn: HVM_PARAM.HVM_PARAM_CONSOLE_EVTCHN },
  grantRef: GNTTAB.GNTTAB_RESERVED_CONSOLE,
  ranges: (address) => [{ name: 'console', address, layout: layoutOf('x86_64', 'xencons_interface') }],
  prepare: (memory, page) => new ConsolePage(memory, page).setConnection(XENCONSOLE.XENCONSOLE_DISCONNECTED),
  hostBytes: hostRingsBytes,
  guest: (vcpu) => new Xenconsoled(vcpu).serve(),
};

class Xenconsoled {
  private readonly consoles = new Map<number, ServedConsole>();
  private readonly hostPort: number;

  constructor(private readonly vcpu: ServiceVcpu) {
    const config = configOf<ConsoleServiceOptions>(vcpu);
    this.hostPort = config.hostPort;
    for (const [position, place] of hostRings(config).entries()) {
      const domain = config.domains[position] as ServedDomain;
      this.consoles.set(domain.port, this.open(domain, new ByteRing(vcpu.memory, place)));
    }
  }

  serve(): never {
    const ports = new Set([this.hostPort, ...this.consoles.keys()]);
    const polled = new PollPorts(this.vcpu, ports);
    for (const served of this.consoles.values()) served.connect();
    for (;;) {
      for (const port of polled.wait()) {
        if (port === this.hostPort) for (const served of this.consoles.values()) served.serve();
        else this.consoles.get(port)?.serve();
      }
      this.dropCutOff(ports);
    }
  }

  private open({ id, name, pageAddress, port }: ServedDomain, typed: ByteRing): ServedConsole {
    const { vcpu } = this;
    const page = new ConsolePage(vcpu.foreignMemory(id), pageAddress);
    const emit = (bytes: Uint8Array): void => vcpu.writeHost(id, bytes);
    const cutOff = (): void => vcpu.log(`xenconsoled: the console ring of ${name} is corrupt: cut off`);
    return new ServedConsole({ page, typed, emit, cutOff, notify: () => this.notify(port) });
  }

  /** Nothing is to be heard of them any more. */
  private dropCutOff(ports: Set<number>): void {
    for (const [port, served] of this.consoles) {
      if (served.inService) continue;
      this.consoles.delete(port);
      ports.delete(port);
      this.vcpu.hypercall.evtchn.close(port);
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
}
