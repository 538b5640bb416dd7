// Draws the OpenAPI document for people: operations by group, each with its parameters, its body and its answers.
// Everything that comes from the document is written as text, never as markup.

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST = 5;

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

const code = (text) => element("code", {}, text);

// A sentence of the document, in which `words` of programs stand.
const sentence = (text) => (text ?? "").split("`").map((part, index) => (index % 2 ? code(part) : part));

// A schema without its references, and the name that it was referred to by.
function resolved(schema, components) {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, schema: components[name] ?? {} } : { name: null, schema: schema ?? {} };
}

function typeWords(raw, components) {
  const { name, schema } = resolved(raw, components);
  const several = schema.oneOf ?? schema.anyOf;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (several && !name) {
    return [...new Set(several.map((one) => typeWords(one, components)))].join(" | ");
  }
  if (schema.type === "array" || schema.type?.includes?.("array")) return `list of ${typeWords(schema.items, components)}`;
  if (name) return name;
  const types = [schema.type ?? "any"].flat().join(" | ");
  return schema.format ? `${types} (${schema.format})` : types;
}

// All parts of a schema that has some: what it is made of, what it may be, what its list holds.
function parts(raw, components) {
  const { schema } = resolved(raw, components);
  const found = new Map();
  const take = (inner) => parts(inner, components).forEach((part, key) => found.set(key, part));
  [...(schema.allOf ?? []), ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].forEach(take);
  if (schema.items) take(schema.items);
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    found.set(key, { schema: inner, required: schema.required?.includes(key) ?? false });
  }
  return found;
}

function fields(raw, components, depth = 0) {
  const list = element("dl");
  if (depth >= DEEPEST) return list;
  for (const [key, part] of parts(raw, components)) {
    const { schema } = resolved(part.schema, components);
    const words = part.schema.description ?? schema.description ?? "";
    const needed = part.required ? ", always there" : "";
    list.append(
      element("dt", {}, code(key), " ", element("span", { className: "type" }, typeWords(part.schema, components) + needed)),
    );
    const inner = fields(part.schema, components, depth + 1);
    list.append(element("dd", {}, ...sentence(words), inner.childElementCount ? inner : ""));
  }
  return list;
}

function content(content, components) {
  return Object.entries(content ?? {}).flatMap(([kind, { schema }]) => {
    const shown = fields(schema, components);
    const words = element("p", {}, code(kind), " ", element("span", { className: "type" }, typeWords(schema, components)));
    return [words, shown.childElementCount ? shown : ""];
  });
}

function parameters(operation) {
  const list = element("dl");
  for (const one of operation.parameters ?? []) {
    const needed = one.required ? "" : ", may be left out";
    list.append(element("dt", {}, code(one.name), " ", element("span", { className: "type" }, `${one.in}${needed}`)));
    list.append(element("dd", {}, ...sentence(one.description)));
  }
  return list;
}

function answers(operation, components) {
  const list = element("dl");
  for (const [status, answer] of Object.entries(operation.responses ?? {})) {
    const error = /^[45]/.test(status);
    list.append(element("dt", {}, code(status), " ", ...sentence(answer.description)));
    list.append(element("dd", {}, ...(error ? ["A problem with a code."] : content(answer.content, components))));
  }
  return list;
}

function card(method, path, operation, components) {
  const open = JSON.stringify(operation.security) === "[{}]";
  const role = open ? "No token is needed." : method === "get" ? "For both roles." : "For the role operate.";
  const body = element("div", { className: "body" }, element("p", {}, ...sentence([operation.description, role].filter(Boolean).join(" "))));
  const section = (title, ...children) => body.append(element("h3", {}, title), ...children.filter(Boolean));
  if (operation.parameters?.length) section("Parameters", parameters(operation));
  if (operation.requestBody) section("Body", ...content(operation.requestBody.content, components));
  section("Answers", answers(operation, components));
  const name = element("span", { className: "method" }, method.toUpperCase());
  const line = element("summary", {}, name, " ", element("span", { className: "path" }, path));
  line.append(element("span", { className: "what" }, ...sentence(operation.summary)));
  const shown = element("details", { id: operation.operationId }, line, body);
  shown.dataset.text = `${method} ${path} ${operation.summary ?? ""} ${operation.description ?? ""}`.toLowerCase();
  return shown;
}

function draw(api) {
  const components = api.components?.schemas ?? {};
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((method) => item[method])) {
      const group = item[method].tags?.[0] ?? "other";
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(card(method, path, item[method], components));
    }
  }
  const main = document.getElementById("operations");
  main.replaceChildren();
  for (const [group, cards] of groups) {
    const id = `group-${group}`;
    main.append(element("section", {}, element("h2", { id }, group), ...cards));
    document.getElementById("groups").append(element("li", {}, element("a", { href: `#${id}` }, group)));
  }
}

function filter(text) {
  const wanted = text.trim().toLowerCase();
  let shown = 0;
  for (const section of document.querySelectorAll("main section")) {
    const cards = [...section.querySelectorAll("details")];
    cards.forEach((card) => (card.hidden = !card.dataset.text.includes(wanted)));
    section.hidden = cards.every((card) => card.hidden);
    shown += cards.filter((card) => !card.hidden).length;
  }
  document.getElementById("count").textContent = shown === 1 ? "1 operation." : `${shown} operations.`;
}

// Opens the operation that the address names.
function visit() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") target.open = true;
  target?.scrollIntoView();
}

try {
  const answer = await fetch("/api/v1/openapi.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  draw(await answer.json());
  const field = document.getElementById("filter");
  field.addEventListener("input", () => filter(field.value));
  filter(field.value);
  addEventListener("hashchange", visit);
  visit();
} catch (error) {
  document.getElementById("count").textContent = `The document could not be read (${error.message}). Load the page again.`;
}
