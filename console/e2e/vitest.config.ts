import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By name: later files go on with what earlier ones left, such as an account that was set up. */
class ByName extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return Promise.resolve([...files].sort((one, other) => one.moduleId.localeCompare(other.moduleId)));
  }
}

// One browser and one service: one thing after the other, in the order of the names of the files.
export default defineConfig({
  test: {
    include: ['e2e/*.spec.ts'],
    fileParallelism: false,
    sequence: { sequencer: ByName },
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // The machine may be busy with other tests: what is waited for comes, how soon is for a bench to say.
    expect: { poll: { timeout: 30_000, interval: 100 } },
    reporters: ['verbose'],
  },
});
