/** A guest that tries what SECURITY.md says of it: `args.attempt` names what. A victim sleeps beside it. */
import { readFileSync } from 'node:fs';
import { defineScenario } from 'upcall';

const VICTIM = 2;
const SECRET_ADDRESS = 0x3000;

/** The objects behind what a guest is handed: fields that TypeScript calls private. */
type Inside = { hypervisor: { domains: { guest: { write32(address: number, value: number): void } }[] } };

const globals = globalThis as { leftBehind?: string };

export default defineScenario({
  name: 'break-out',
  args: { attempt: '' },
  domains: {
    guest: {
      guest(vcpu) {
        const attempts: Record<string, () => unknown> = {
          'read a file': () => readFileSync(__filename, 'utf8').length > 0,
          'read the environment': () => Object.keys(process.env).length > 0,
          'reach the victim': () => {
            (vcpu as unknown as Inside).hypervisor.domains[1]?.guest.write32(SECRET_ADDRESS, 1);
            return true;
          },
          'map the victim': () => vcpu.foreignMemory(VICTIM),
          'read past its memory': () => vcpu.memory.read32(vcpu.memory.byteLength),
          'change its args': () => {
            vcpu.domain.args.attempt = 'another';
          },
          'replace a hypercall': () => {
            (vcpu.hypercall.evtchn as { send: unknown }).send = () => 0;
          },
          'abort the process': () => process.abort(),
          'leave the folder': () => process.chdir('/'),
          'take memory outside the heap': () => new ArrayBuffer(64 << 20).byteLength,
          'leave something behind': () => {
            globals.leftBehind = 'here';
            return true;
          },
          'find something left behind': () => globals.leftBehind ?? 'nothing',
          'kill the process': () => process.kill(process.pid, 'SIGKILL'),
        };
        try {
          return attempts[vcpu.domain.args.attempt]?.();
        } catch (error) {
          return (error as Error).name;
        }
      },
    },
    victim: { words: { secret: 0 }, guest: () => undefined },
  },
  check({ domains, args }) {
    const secret = domains.victim!.words.secret.read();
    const reached = args.attempt === 'reach the victim';
    if (secret !== (reached ? 1 : 0)) throw new Error(`the victim's word is ${secret}`);
  },
});
