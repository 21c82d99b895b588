/**
 * Echoes what is typed at the console, line by line.
 *
 * Teaches: VIRQ_CONSOLE, a global interrupt that only the machine's hardware domain gets; CONSOLEIO_read; and why the handler
 * reads until nothing is left.
 *
 * Ends with ctrl-D, or after `args.bytes` bytes. A device plays the person at the keyboard and types `args.typed`.
 *
 *     npx upcall run examples/console-echo.ts --args '{"typed": "hello\nworld\n\u0004"}'
 */
import assert from 'node:assert/strict';
import { defineScenario } from 'upcall';
import { VIRQ_CONSOLE } from 'upcall/abi';
import { Events, haltUntil } from 'upcall/guest';

const END_OF_TRANSMISSION = '\x04';
const READ_BYTES = 16;
const MS = 1_000_000;
const DEFAULTS = { typed: `upcall\necho\n${END_OF_TRANSMISSION}`, bytes: 1000 };

export default defineScenario({
  name: 'console-echo',
  description: 'console input by VIRQ_CONSOLE and CONSOLEIO_read, echoed',
  privileged: true,
  words: { ready: 0 },
  args: DEFAULTS,

  devices: {
    keyboard(device) {
      const { typed } = { ...DEFAULTS, ...device.args };
      while (device.domain.words.ready.load() === 0) device.sleep(MS);
      for (const character of typed) {
        device.consoleInput(character);
        device.sleep(MS);
      }
    },
  },

  guest(vcpu) {
    const { bytes } = { ...DEFAULTS, ...vcpu.domain.args };
    const events = new Events(vcpu);
    let echoed = '';
    let ended = false;

    const take = (input: string) => {
      for (const character of input) {
        if (ended || character === END_OF_TRANSMISSION) {
          ended = true;
          return;
        }
        echoed += character;
        ended = echoed.length >= bytes;
      }
    };

    events.bindVirq(VIRQ_CONSOLE, () => {
      // One event may stand for many characters: they merge while it is pending. So read until the buffer is empty;
      // a character that comes after the last read raises the event anew, since its pending bit was cleared before.
      for (;;) {
        const chunk = vcpu.hypercall.console.read(READ_BYTES);
        if (chunk.length === 0) return;
        take(Buffer.from(chunk).toString('latin1'));
      }
    });
    vcpu.words.ready.store(1);

    haltUntil(vcpu, () => ended);
    vcpu.hypercall.console.write(echoed);
    return { echoed };
  },

  check({ results, args }) {
    const { typed, bytes } = { ...DEFAULTS, ...args };
    const expected = typed.split(END_OF_TRANSMISSION)[0]!.slice(0, bytes);
    assert.equal((results[0] as { echoed: string }).echoed, expected);
  },
});
