// Notes who this visitor is until the browser is closed, so that a reload finds their studies again.
export default function ({ data }) {
  document.cookie = `${data.name}=${data.value}; path=/; SameSite=Strict`;
}
