// The official AWS SDK for JavaScript talks to the simulated Bedrock: whatever the library's own
// tests take from the simulation, AWS's client takes too. See run.sh.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";

const require = createRequire(`${process.env.VC_SDK}/`);
const { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand, InvokeModelCommand } =
  require("@aws-sdk/client-bedrock-runtime");
const { NodeHttpHandler } = require("@smithy/node-http-handler");

const keys = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const question = { messages: [{ role: "user", content: [{ text: "How many grains of sand?" }] }] };

async function start(...options) {
  const server = spawn(process.env.VC_SIMULATED_BEDROCK, ["--named-faults", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: server.stdout })) {
    return { server, endpoint: line.match(/http:\S+/)[0] };
  }
  throw new Error("the simulated Bedrock did not start");
}

async function stop({ server }) {
  const gone = new Promise((resolve) => server.once("exit", resolve));
  server.kill();
  await gone;
}

function client(endpoint, options = {}) {
  return new BedrockRuntimeClient({
    region: "us-west-2",
    endpoint,
    credentials: keys,
    maxAttempts: 1,
    ...options,
  });
}

async function events(bedrock, modelId, more = question) {
  const answer = await bedrock.send(new ConverseStreamCommand({ modelId, ...more }));
  const all = [];
  for await (const event of answer.stream) all.push(event);
  return all;
}

const text_of = (all) =>
  all.map((event) => event.contentBlockDelta?.delta.text ?? "").join("");

// The SDK's own choice is HTTP/2, over plain http too.
const transports = {
  "HTTP/2": {},
  "HTTP/1.1": { requestHandler: new NodeHttpHandler() },
};

for (const [name, transport] of Object.entries(transports)) {
  describe(`The AWS SDK over ${name}`, () => {
    let simulated, bedrock;
    before(async () => {
      simulated = await start();
      bedrock = client(simulated.endpoint, transport);
    });
    after(async () => {
      bedrock.destroy();
      await stop(simulated);
    });

    test("Converse", async () => {
      const answer = await bedrock.send(new ConverseCommand({ modelId: "a.model-v1:0", ...question }));
      assert.equal(answer.output.message.role, "assistant");
      assert.match(answer.output.message.content[0].text, /a\.model-v1:0.*grains of sand/);
      assert.equal(answer.stopReason, "end_turn");
      assert.equal(answer.usage.totalTokens, answer.usage.inputTokens + answer.usage.outputTokens);
      assert.ok(answer.$metadata.requestId);
    });

    test("a model's ARN", async () => {
      const modelId = "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.a.model-v1:0";
      const answer = await bedrock.send(new ConverseCommand({ modelId, ...question }));
      assert.ok(answer.output.message.content[0].text.includes(modelId));
    });

    test("an image and a document", async () => {
      const answer = await bedrock.send(new ConverseCommand({
        modelId: "m",
        messages: [{ role: "user", content: [
          { text: "Do they agree?" },
          { image: { format: "png", source: { bytes: new Uint8Array(1000) } } },
          { document: { format: "pdf", name: "Report", source: { bytes: new Uint8Array(77) } } },
        ] }],
      }));
      assert.match(answer.output.message.content[0].text, /png, 1000 bytes.*Report.*pdf, 77 bytes/);
    });

    test("a tool's round trip", async () => {
      const toolConfig = { tools: [{ toolSpec: {
        name: "weather",
        inputSchema: { json: { type: "object", required: ["city"],
                               properties: { city: { type: "string" } } } },
      } }] };
      const messages = [{ role: "user", content: [{ text: "Weather in Turku?" }] }];
      const asked = await bedrock.send(new ConverseCommand({ modelId: "m", messages, toolConfig }));
      assert.equal(asked.stopReason, "tool_use");
      const { toolUse } = asked.output.message.content.find((block) => block.toolUse);
      assert.deepEqual(toolUse.input, { city: "Turku" });
      messages.push(asked.output.message, { role: "user", content: [
        { toolResult: { toolUseId: toolUse.toolUseId, content: [{ text: "rain" }] } },
      ] });
      const answer = await bedrock.send(new ConverseCommand({ modelId: "m", messages, toolConfig }));
      assert.match(answer.output.message.content[0].text, /rain/);

      const streamed = await events(bedrock, "m", { messages: messages.slice(0, 1), toolConfig });
      const start = streamed.find((event) => event.contentBlockStart).contentBlockStart.start;
      assert.equal(start.toolUse.name, "weather");
      const input = streamed.map((event) => event.contentBlockDelta?.delta.toolUse?.input ?? "");
      assert.deepEqual(JSON.parse(input.join("")), { city: "Turku" });
    });

    test("ConverseStream gives what Converse gives", async () => {
      const whole = await bedrock.send(new ConverseCommand({ modelId: "m", ...question }));
      const all = await events(bedrock, "m");
      assert.equal(text_of(all), whole.output.message.content[0].text);
      assert.equal(all[0].messageStart.role, "assistant");
      assert.equal(all.at(-2).messageStop.stopReason, whole.stopReason);
      assert.deepEqual(all.at(-1).metadata.usage, whole.usage);
    });

    test("a long stream in many pieces", async () => {
      const long = "sand ".repeat(20000);
      const all = await events(bedrock, "m", {
        messages: [{ role: "user", content: [{ text: "x" }, { image: {
          format: "png", source: { bytes: new Uint8Array(300000) } } }, { text: long }] }],
      });
      assert.match(text_of(all), /300000 bytes/);
      assert.ok(all.at(-1).metadata);
    });

    test("exceptions and errors within a stream", async () => {
      const throws = async (modelId, expected) =>
        assert.rejects(events(bedrock, modelId), (error) => {
          assert.match(error.name, expected, `${modelId}: ${error}`);
          return true;
        });
      await throws("fault.stream-throttled", /^ThrottlingException$/);
      await throws("fault.stream-model-error", /^ModelStreamErrorException$/);
      await throws("fault.stream-internal", /^InternalServerException$/);
      await throws("fault.stream-error-frame", /^(InternalError|Error)$/);
      await throws("fault.stream-corrupt", /Error/);
    });

    test("a stream that ends early, which it takes for whole", async () => {
      const all = await events(bedrock, "fault.stream-ends-early");
      assert.equal(all.length, 3);
      assert.ok(!all.some((event) => event.messageStop));
    });

    test("InvokeModel", async () => {
      const answer = await bedrock.send(new InvokeModelCommand({
        modelId: "amazon.titan-embed-text-v2:0",
        contentType: "application/json",
        body: JSON.stringify({ inputText: "Valkey" }),
      }));
      const body = JSON.parse(new TextDecoder().decode(answer.body));
      assert.equal(body.embedding.length, 4);
    });

    test("errors of the service", async () => {
      const expected = [
        ["throttled", 429, "ThrottlingException"],
        ["internal", 500, "InternalServerException"],
        ["unavailable", 503, "ServiceUnavailableException"],
        ["model-timeout", 408, "ModelTimeoutException"],
        ["model-error", 424, "ModelErrorException"],
        ["not-found", 404, "ResourceNotFoundException"],
        ["denied", 403, "AccessDeniedException"],
        ["expired", 403, "ExpiredTokenException"],
        ["unheard-of", 400, "ValidationException"],
      ];
      for (const [fault, status, type] of expected) {
        await assert.rejects(
          bedrock.send(new ConverseCommand({ modelId: `fault.${fault}`, ...question })),
          (error) => {
            assert.equal(error.name, type);
            assert.equal(error.$metadata.httpStatusCode, status);
            assert.ok(error.$metadata.requestId);
            return true;
          });
      }
      await assert.rejects(bedrock.send(new ConverseCommand({ modelId: "m", messages: [] })),
                           { name: "ValidationException" });
    });

    test("passing faults are tried again", async () => {
      const patient = client(simulated.endpoint, { ...transport, maxAttempts: 3 });
      for (const fault of ["throttled", "internal", "unavailable", "reset"]) {
        const modelId = `fault.once.${fault}.${name.replace("/", "-")}`;
        const answer = await patient.send(new ConverseCommand({ modelId, ...question }));
        assert.equal(answer.$metadata.attempts, 2, fault);
      }
      await assert.rejects(
        patient.send(new ConverseCommand({ modelId: "fault.model-timeout", ...question })),
        (error) => error.$metadata.attempts === 1);
      if (transport.requestHandler === undefined) patient.destroy();
    });

    test("wrong signatures are refused", async () => {
      const refused = async (options, type) => {
        const stranger = client(simulated.endpoint, { ...transport, ...options });
        await assert.rejects(stranger.send(new ConverseCommand({ modelId: "m", ...question })),
                             { name: type });
        if (transport.requestHandler === undefined) stranger.destroy();
      };
      await refused({ credentials: { ...keys, secretAccessKey: "wrong" } },
                    "InvalidSignatureException");
      await refused({ credentials: { ...keys, accessKeyId: "AKIDUNKNOWN" } },
                    "UnrecognizedClientException");
      await refused({ systemClockOffset: 3600_000 }, "InvalidSignatureException");
    });

    test("a session token, and a region that has to be the right one", async () => {
      const other = await start("--session-token", "a/token+of=a session", "--region", "eu-west-1");
      const credentials = { ...keys, sessionToken: "a/token+of=a session" };
      const ask = async (options) => {
        const one = client(other.endpoint, { ...transport, credentials, ...options });
        try {
          return await one.send(new ConverseCommand({ modelId: "m", ...question }));
        } finally {
          if (transport.requestHandler === undefined) one.destroy();
        }
      };
      try {
        assert.ok((await ask({ region: "eu-west-1" })).output);
        await assert.rejects(ask({}), { name: "InvalidSignatureException" });
        await assert.rejects(ask({ region: "eu-west-1", credentials: keys }),
                             { name: "UnrecognizedClientException" });
      } finally {
        await stop(other);
      }
    });

    test("a bearer token", async () => {
      const other = await start("--bearer-token", "a-token");
      const ask = async (token) => {
        const one = client(other.endpoint, {
          ...transport,
          credentials: undefined,
          token: { token },
          authSchemePreference: ["httpBearerAuth"],
        });
        try {
          return await one.send(new ConverseCommand({ modelId: "m", ...question }));
        } finally {
          if (transport.requestHandler === undefined) one.destroy();
        }
      };
      try {
        assert.ok((await ask("a-token")).output);
        await assert.rejects(ask("another"), (error) => error.$metadata.httpStatusCode === 403);
      } finally {
        await stop(other);
      }
    });
  });
}
