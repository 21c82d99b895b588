/** All that is typed at the consoles of a machine: at the hypervisor's, and at the PV consoles of its domains. */
import type { Hypervisor } from '../../hypervisor/hypervisor';
import { CONSOLE_INPUT_BYTES, MACHINE_SERIAL_RX_CONS, MACHINE_SERIAL_RX_PROD } from '../../hypervisor/state-layout';
import { SERVICES_DOMAIN_ID } from '../../services';
import { hostConsoles } from '../host-consoles';
import type { MachinePlan } from '../machine-plan';
import type { ToolstackDomain } from '../scenario';
import { InputPump, type InputSink } from './input-pump';
import type { RunOptions } from './run-options';

export class ConsoleInputs {
  private readonly pumps: readonly InputPump[];

  /**
   * @param domains - the toolstack's views of them all
   * @param attempt - does work that takes locks of the hypervisor
   */
  constructor(
    plan: MachinePlan,
    hypervisor: Hypervisor,
    domains: Readonly<Record<string, ToolstackDomain>>,
    attempt: (work: () => void) => boolean,
    { input, consoleInput = {} }: Pick<RunOptions, 'input' | 'consoleInput'>,
  ) {
    // Without a domain that may read the hypervisor's console nobody would ever take the input.
    const listens = plan.domains.some(({ config }) => config.privileged && config.id !== SERVICES_DOMAIN_ID);
    const pumps = listens ? [new InputPump(new SerialConsole(hypervisor), attempt, input)] : [];
    for (const [index, console] of hostConsoles(plan.services, domains).entries()) {
      const own = consoleInput[console.name];
      // Input for whoever listens that ends without a byte (no terminal, or /dev/null): nobody was there.
      const shared = index === 0 && !listens ? input : undefined;
      pumps.push(new InputPump(console, attempt, own ?? shared, own === undefined ? console.scripted : ''));
    }
    this.pumps = pumps;
  }

  /** No more input will come. */
  get finished(): boolean {
    return this.pumps.every(({ finished }) => finished);
  }

  start(): void {
    // A source that fails counts as ended.
    for (const pump of this.pumps) pump.run().catch(() => {});
  }

  stop(): void {
    for (const pump of this.pumps) pump.stop();
  }
}

class SerialConsole implements InputSink {
  constructor(private readonly hypervisor: Hypervisor) {}

  room(): number {
    const { global } = this.hypervisor.machine;
    const waiting = global.load32(MACHINE_SERIAL_RX_PROD) - global.load32(MACHINE_SERIAL_RX_CONS);
    return CONSOLE_INPUT_BYTES - (waiting | 0);
  }

  put(bytes: Uint8Array): void {
    this.hypervisor.console.input(bytes);
  }
}
